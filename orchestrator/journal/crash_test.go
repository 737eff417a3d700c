package journal

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
)

// crashTest does something to a journal, crashes at every step of it in every way, and looks at what is left.
type crashTest struct {
	t  *testing.T
	fs *crashFS
	// states counts what was looked at.
	states int
}

func newCrashTest(t *testing.T) *crashTest { return &crashTest{t: t, fs: newCrashFS()} }

func (c *crashTest) files() files { return files{c.fs} }

// during has every crash in the act leave what may allows; while nothing is left undone, too.
func (c *crashTest) during(act func() error, may func(*Intent) bool) {
	c.t.Helper()
	c.fs.step = func() { c.look(may) }
	if err := act(); err != nil {
		c.t.Fatal(err)
	}
	c.fs.step = func() {}
}

// after has every crash from now on leave what must allows.
func (c *crashTest) after(must func(*Intent) bool) {
	c.t.Helper()
	c.look(must)
}

func (c *crashTest) look(allowed func(*Intent) bool) {
	c.t.Helper()
	c.fs.crashes(func(left map[string][]byte) {
		c.states++
		disk := &crashFS{names: map[string]*inode{}}
		for name, text := range left {
			disk.names[name] = &inode{durable: text}
		}
		i, err := files{disk}.pending("u")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.t.Fatalf("%v in %q", err, left)
		}
		if !allowed(i) {
			c.t.Fatalf("left is %+v: %q", i, left)
		}
	})
}

func has(snapshot string, notes ...Note) func(*Intent) bool {
	return func(i *Intent) bool { return i != nil && i.Snapshot == snapshot && slices.Equal(i.Notes, notes) }
}

func nothing(i *Intent) bool { return i == nil }

func either(a, b func(*Intent) bool) func(*Intent) bool {
	return func(i *Intent) bool { return a(i) || b(i) }
}

// TestEveryCrashLeavesTheJournalWhole: at each step of a life of the journal, and for each subset of what was not synced
// by then, there is the record from before the step or from after it, and what a call has returned from is never lost.
func TestEveryCrashLeavesTheJournalWhole(t *testing.T) {
	c := newCrashTest(t)
	j := c.files()
	trying, done := Note{Act: "revert vda"}, Note{Act: "revert vda", Done: true}

	c.during(func() error { return j.begin(Intent{UUID: "u", Snapshot: "one"}) }, either(nothing, has("one")))
	c.after(has("one"))
	c.during(func() error { return j.note("u", trying) }, either(has("one"), has("one", trying)))
	c.after(has("one", trying))
	c.during(func() error { return j.note("u", done) }, either(has("one", trying), has("one", trying, done)))
	c.after(has("one", trying, done))
	c.during(func() error { return j.begin(Intent{UUID: "u", Snapshot: "two"}) }, either(has("one", trying, done), has("two")))
	c.after(has("two"))
	c.during(func() error { return j.end("u") }, either(has("two"), nothing))
	c.after(nothing)
	c.during(func() error { return j.begin(Intent{UUID: "u", Snapshot: "six"}) }, either(nothing, has("six")))
	c.after(has("six"))
	t.Logf("%d states", c.states)
}

// TestCrashAfterCrash: what one crash has left, torn or beside, is no obstacle to the next life of the journal.
func TestCrashAfterCrash(t *testing.T) {
	first := newCrashTest(t)
	if err := first.files().begin(Intent{UUID: "u", Snapshot: "one"}); err != nil {
		t.Fatal(err)
	}
	first.fs.step = func() { first.fs.crashes(func(left map[string][]byte) { goOn(t, left) }) }
	if err := first.files().note("u", Note{Act: "torn"}); err != nil {
		t.Fatal(err)
	}
	if err := first.files().begin(Intent{UUID: "u", Snapshot: "one"}); err != nil {
		t.Fatal(err)
	}
}

// goOn makes a note and a new beginning on what a crash has left.
func goOn(t *testing.T, left map[string][]byte) {
	t.Helper()
	c := newCrashTest(t)
	for name, text := range left {
		c.fs.names[name] = &inode{durable: text}
		c.fs.durable[name] = c.fs.names[name]
	}
	j, noted := c.files(), Note{Act: "noted", Done: true}
	if err := j.note("u", noted); err != nil {
		t.Fatal(err)
	}
	c.after(func(i *Intent) bool { return i != nil && i.Snapshot == "one" && i.Did("noted") })
	begun := func(i *Intent) bool { return i != nil && (i.Snapshot == "two" || i.Did("noted")) }
	c.during(func() error { return j.begin(Intent{UUID: "u", Snapshot: "two"}) }, begun)
	c.after(has("two"))
}

// TestJournalWithoutRoomLeavesNothing: what could not be written is not left half written.
func TestJournalWithoutRoomLeavesNothing(t *testing.T) {
	c := newCrashTest(t)
	c.fs.full = errors.New("no space left on device")
	if err := c.files().begin(Intent{UUID: "u"}); !errors.Is(err, c.fs.full) {
		t.Errorf("%v", err)
	}
	if len(c.fs.names) > 0 {
		t.Errorf("left is %v", c.fs.names)
	}
}
