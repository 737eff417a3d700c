package methodtest

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
)

// ErrFailed: a method fails a check.
var ErrFailed = errors.New("a method fails its suite")

// PrintTable prints the checks of all methods, a column for each, and below it every waiver with its reason. It fails
// with ErrFailed when a check did.
func PrintTable(w io.Writer, rows []Row) error {
	t := &table{out: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), count: map[Verdict]int{}}
	for i, row := range rows {
		t.printf("%d\t%s\n", i+1, row.Name)
	}
	t.header(len(rows))
	for _, c := range checks() {
		t.check(c.name, rows)
	}
	t.waivers(rows)
	t.printf("\n%d checks, %d methods: %d ok, %d waived, %d not claimed, %d not run, %d FAILED\n", len(checks()), len(rows),
		t.count[OK], t.count[Waived], t.count[NotClaimed], t.count[NotRun], t.count[Failed])
	if err := errors.Join(t.err, t.out.Flush()); err != nil {
		return err
	}
	if t.count[Failed] > 0 {
		return ErrFailed
	}
	return nil
}

// table is what is printed, and how often each verdict was.
type table struct {
	out   *tabwriter.Writer
	err   error
	count map[Verdict]int
}

func (t *table) printf(format string, args ...any) {
	_, err := fmt.Fprintf(t.out, format, args...)
	t.err = errors.Join(t.err, err)
}

func (t *table) header(columns int) {
	t.printf("\n")
	for i := range columns {
		t.printf("\t%d", i+1)
	}
	t.printf("\n")
}

func (t *table) check(name Check, rows []Row) {
	t.printf("%s", name)
	for _, row := range rows {
		verdict := row.Of(name).Verdict
		t.count[verdict]++
		t.printf("\t%s", verdict)
	}
	t.printf("\n")
}

func (t *table) waivers(rows []Row) {
	if t.count[Waived] > 0 {
		t.printf("\nwaived:\n")
	}
	for _, row := range rows {
		for _, r := range row.Results {
			if r.Verdict == Waived {
				t.printf("%s, %s: %s\n", row.Name, r.Check, r.Reason)
			}
		}
	}
}
