package argv

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	g := Grammar{Bare: []string{"-q"}, Valued: []string{"-f", "--size"}}
	got, err := g.Parse("x", []string{"a", "-q", "-f", "-q", "--size=5", "-", "--", "-b"})
	want := Call{"x", map[string][]string{"-q": {""}, "-f": {"-q"}, "--size": {"5"}}, []string{"a", "-", "-b"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, args := range [][]string{{"-b"}, {"--size"}, {"-q", "--help"}, {"-q=5"}, {"-ff"}} {
		if got, err := g.Parse("x", args); err == nil {
			t.Errorf("%q is %+v", args, got)
		}
	}
}

func TestRecorderFindsAnOption(t *testing.T) {
	for _, arg := range []string{"--help", "a\x00b"} {
		seen := &reports{TB: t}
		r := &Recorder{T: seen, Grammars: map[string]Grammar{"x": {}}}
		if _, err := r.Run(t.Context(), "x", arg); err != nil || seen.n != 1 || len(r.Calls) != 1 {
			t.Errorf("%q: %v, %+v", arg, err, seen)
		}
	}
}

// reports counts what a test is told.
type reports struct {
	testing.TB
	n int
}

func (r *reports) Helper()      {}
func (r *reports) Error(...any) { r.n++ }

func TestNamesAreTheSameEveryTime(t *testing.T) {
	a, b := slices.Collect(Names(1000)), slices.Collect(Names(1000))
	if !slices.Equal(a, b) || len(slices.Compact(slices.Sorted(slices.Values(a)))) < 700 {
		t.Error("they are not, or few differ")
	}
}
