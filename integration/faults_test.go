// Package integration has what tests the whole.
package integration

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestFaultsNamesTestsThatExist: a test that is renamed is renamed in the documents that lean on it.
func TestFaultsNamesTestsThatExist(t *testing.T) {
	out, err := exec.Command("grep", "-rhoE", "--include=*_test.go", "^func (Test|Fuzz)[A-Za-z0-9]+", "..").Output()
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		declared[strings.TrimSpace(strings.TrimPrefix(line, "func "))] = true
	}
	for _, document := range []string{"FAULTS.md", "SECURITY.md"} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, named := range regexp.MustCompile("`(Test|Fuzz)[A-Za-z0-9]+`").FindAllString(string(text), -1) {
			if !declared[strings.Trim(named, "`")] {
				t.Errorf("%s names %s", document, named)
			}
		}
	}
}
