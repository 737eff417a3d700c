package methodtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// DirVariable names the environment variable with the directory that rows are recorded in.
const DirVariable = "DOMSNAP_SUITE_DIR"

// Verdict is what became of a check.
type Verdict string

// The verdicts, as the table prints them.
const (
	OK     Verdict = "ok"
	Failed Verdict = "FAILED"
	Waived Verdict = "waived"
	// NotClaimed: the check is of something that the method does not claim to have.
	NotClaimed Verdict = "-"
	// NotRun: the check was left out on the command line.
	NotRun Verdict = "not run"
)

// Result is a check and its verdict.
type Result struct {
	Check   Check   `json:"check"`
	Verdict Verdict `json:"verdict"`
	// Reason is that of a waiver, or what is not claimed.
	Reason string `json:"reason,omitempty"`
}

// Row is what became of one method's checks.
type Row struct {
	Name    string   `json:"name"`
	Results []Result `json:"results"`
}

// Of finds the result of a check.
func (r Row) Of(c Check) Result {
	if i := slices.IndexFunc(r.Results, func(got Result) bool { return got.Check == c }); i >= 0 {
		return r.Results[i]
	}
	return Result{Check: c, Verdict: NotRun}
}

// record writes the row where the environment says, if it does.
func (r Row) record() error {
	dir := os.Getenv(DirVariable)
	if dir == "" {
		return nil
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	name := regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(r.Name, "-")
	return os.WriteFile(filepath.Join(dir, name+".json"), raw, 0o644)
}

// ReadRows reads the rows in a directory, by name.
func ReadRows(dir string) ([]Row, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(paths))
	for i, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, &rows[i]); err != nil {
			return nil, fmt.Errorf("read row %s: %w", path, err)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.Name, b.Name) })
	return rows, nil
}
