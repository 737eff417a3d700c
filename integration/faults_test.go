// Package integration has what tests the whole.
package integration

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	faults   = "FAULTS.md"
	security = "SECURITY.md"
)

var (
	declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	named    = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)
)

// TestEveryTestThatIsNamedExists: a test that is renamed is renamed in the documents that lean on it.
func TestEveryTestThatIsNamedExists(t *testing.T) {
	there := tests(t)
	for _, document := range []string{faults, security} {
		names := named.FindAllString(read(t, document), -1)
		if len(names) == 0 {
			t.Errorf("%s names no test", document)
		}
		for _, name := range names {
			if !there[name] {
				t.Errorf("%s names %s", document, name)
			}
		}
	}
}

// TestEveryFaultHasARow: of the steps, the failures of the world and the threats.
func TestEveryFaultHasARow(t *testing.T) {
	for _, rows := range []struct {
		document, label string
		first, last     int
	}{
		{faults, "C%d", 0, 9}, {faults, "R%d", 0, 9}, {faults, "D%d", 0, 5}, {faults, "F%02d", 1, 50},
		{security, "S%d", 1, 23},
	} {
		text := read(t, rows.document)
		for n := rows.first; n <= rows.last; n++ {
			label := fmt.Sprintf(rows.label, n)
			if found := strings.Count(text, "\n| "+label+" "); found != 1 {
				t.Errorf("%s has %d rows of %s", rows.document, found, label)
			}
		}
	}
}

// TestNoRowLacksACell: a cell is filled, with a dash at least, and each row of a table has as many.
func TestNoRowLacksACell(t *testing.T) {
	for _, document := range []string{faults, security} {
		cells := 0
		for n, line := range strings.Split(read(t, document), "\n") {
			row := strings.Split(strings.Trim(line, "|"), "|")
			switch {
			case !strings.HasPrefix(line, "|"):
				cells = 0
			case cells == 0:
				cells = len(row)
			case len(row) != cells || slices.ContainsFunc(row, blank):
				t.Errorf("%s:%d: a row of %d cells among those of %d, or a cell that is empty", document, n+1, len(row), cells)
			}
		}
	}
}

func blank(cell string) bool { return strings.TrimSpace(cell) == "" }

func read(t *testing.T, document string) string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tests are all there are in the repository, behind whatever build tags.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "build"}, entry.Name()):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, match := range declared.FindAllSubmatch(text, -1) {
			found[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
