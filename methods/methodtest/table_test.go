package methodtest

import (
	"errors"
	"strings"
	"testing"
)

func TestRowsBecomeATable(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(DirVariable, dir)
	good := Row{Name: "zfs, raw", Results: []Result{{TakeTwice, OK, ""}, {OpenMissing, Waived, "it has none"}}}
	bad := Row{Name: "any", Results: []Result{{TakeTwice, Failed, ""}, {OpenMissing, NotClaimed, "no"}}}
	if err := errors.Join(good.record(), bad.record()); err != nil {
		t.Fatal(err)
	}
	rows, err := ReadRows(dir)
	if err != nil || len(rows) != 2 || rows[1].Name != good.Name {
		t.Fatalf("the rows are %+v, %v", rows, err)
	}
	var out strings.Builder
	if err := PrintTable(&out, rows); !errors.Is(err, ErrFailed) {
		t.Errorf("the table: %v", err)
	}
	lines := map[Check][]string{}
	for line := range strings.Lines(out.String()) {
		if words := strings.Fields(line); len(words) > 1 {
			lines[Check(words[0])] = words[1:]
		}
	}
	for check, want := range map[Check]string{
		"2": "zfs, raw", TakeTwice: "FAILED ok", OpenMissing: "- waived", DropTwice: "not run not run", "zfs,": "raw, OpenMissing: it has none",
	} {
		if got := strings.Join(lines[check], " "); got != want {
			t.Errorf("%s: %q, want %q", check, got, want)
		}
	}
}

func TestRowIsRecordedOnlyWhereAsked(t *testing.T) {
	t.Setenv(DirVariable, "")
	if err := (Row{Name: "any"}).record(); err != nil {
		t.Error(err)
	}
	t.Setenv(DirVariable, t.TempDir()+"/missing")
	if err := (Row{Name: "any"}).record(); err == nil {
		t.Error("there is no such directory")
	}
}

func TestWaivers(t *testing.T) {
	takeTwice := check{TakeTwice, always, takeTwice}
	overwrites := broken{prepare: prepareOver}.suite()
	for _, c := range []struct {
		name   string
		waive  func(T)
		failed bool
	}{
		{"of what fails", func(t T) { overwrites.waive(t, takeTwice, "it cannot know") }, false},
		{"of what passes", func(t T) { broken{}.suite().waive(t, takeTwice, "it cannot know") }, true},
		{"with a reason", func(t T) { checkWaiver(t, TakeTwice, "it cannot know") }, false},
		{"without a reason", func(t T) { checkWaiver(t, TakeTwice, "") }, true},
		{"of no check", func(t T) { checkWaiver(t, "TakeThrice", "it cannot know") }, true},
	} {
		try := newTrial(t)
		try.run(func() { c.waive(try) })
		if try.failed() != c.failed {
			t.Errorf("a waiver %s fails: %t", c.name, try.failed())
		}
	}
}

func TestTrialKeepsFailuresToItself(t *testing.T) {
	var order []string
	note := func(s string) func() { return func() { order = append(order, s) } }
	try := newTrial(t)
	try.run(func() {
		try.Cleanup(note("last"))
		try.Cleanup(func() { panic("in a cleanup") })
		try.Cleanup(func() {
			if try.Context().Err() == nil {
				try.Errorf("the context goes on")
			}
		})
		try.Fatalf("stop %d", 1)
		note("never")()
	})
	if got := strings.Join(order, " "); got != "last" {
		t.Errorf("ran: %s", got)
	}
	if got := try.report(); !strings.HasPrefix(got, "stop 1; panic: in a cleanup") {
		t.Errorf("the report is %q", got)
	}
}
