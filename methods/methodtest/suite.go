package methodtest

import (
	"context"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

// DefaultSize is how big the checks' disks are where a Suite says nothing: one extent of LVM, or of RBD.
const DefaultSize = 4 << 20

// T is what a check needs of a *testing.T. There is no way to skip.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Cleanup(f func())
	Context() context.Context
	Name() string
	TempDir() string
}

// Suite is one method, in one of its ways, and what it takes to check it.
type Suite struct {
	// Name is for the table: the method, and what tells this way from its others.
	Name string
	// New gives each check a fixture. What it makes for that, t.Cleanup takes away.
	New func(t T) Fixture
	// Size is that of the disks, DefaultSize when it is 0. It is a multiple of 4096, and at least 64 KiB.
	Size int64
	// Waived are checks that the method may fail, each with the reason. A waiver for a check that passes, or
	// that does not apply, fails.
	Waived map[Check]string
	// WithoutTool is New on a host that lacks the method's tool; nil for a method that needs none.
	WithoutTool func(t T) Fixture
}

// Fixture is the method on a storage where disks can be made. Only the first three fields are needed.
type Fixture struct {
	Method methods.Method
	// Disks opens the disks in place; image.Access will do for whatever QEMU can open.
	Disks methods.Disks
	// NewDisk makes a disk of a domain that is off, and fills it. Its cleanup removes the disk.
	NewDisk func(t T, target string, content []byte) methods.Disk
	// Spec is the body of <diskSnapshot> that plans are made with.
	Spec methods.Spec
	// Present says where a disk is now. Without it a disk is where the Active of its last Ref says.
	Present func(t T, disk methods.Disk) methods.Disk
	// Write does what the guest would do while it runs. Without it the disk is opened and written.
	Write func(t T, disk methods.Disk, p []byte, offset int64)
	// Objects lists everything in the storage that was made for snapshots of the disk, found without the method.
	// Without it the method's own List is believed.
	Objects func(t T, disk methods.Disk) []string
	// OpenSource reads a backup source as others would. Without it paths of raw images are opened.
	OpenSource func(ctx context.Context, source methods.BackupSource) (methods.Content, error)
	// Grow makes a disk bigger. Without it the ref claims another size.
	Grow func(t T, disk methods.Disk)
	// Spoil makes the act on a prepared disk fail. Without it there is a snapshot of that name already.
	Spoil func(t T, disk methods.Disk)
}

// Run checks the method, one subtest for each check, and records the outcome.
func Run(t *testing.T, s Suite) {
	t.Helper()
	f := s.facts(t)
	row := Row{Name: s.Name, Results: []Result{}}
	for _, c := range checks() {
		row.Results = append(row.Results, s.result(t, c, f))
	}
	for name, why := range s.Waived {
		checkWaiver(t, name, why)
	}
	if err := row.record(); err != nil {
		t.Errorf("record the row of %s: %v", s.Name, err)
	}
}

func (s Suite) result(t *testing.T, c check, f facts) Result {
	t.Helper()
	if why := c.needs(f); why != "" {
		if _, waived := s.Waived[c.name]; waived {
			t.Errorf("%s: the waiver is not needed: %s", c.name, why)
		}
		return Result{c.name, NotClaimed, why}
	}
	if why, waived := s.Waived[c.name]; waived {
		ok := t.Run(string(c.name), func(t *testing.T) { s.waive(t, c, why) })
		return Result{c.name, verdict(ok, Waived), why}
	}
	verdictOf := NotRun
	ok := t.Run(string(c.name), func(t *testing.T) {
		verdictOf = OK
		s.perform(t, c)
	})
	return Result{Check: c.name, Verdict: verdict(ok, verdictOf)}
}

func verdict(ok bool, v Verdict) Verdict {
	if !ok {
		return Failed
	}
	return v
}

// waive runs a check that may fail, to see whether it still does.
func (s Suite) waive(t T, c check, why string) {
	t.Helper()
	try := newTrial(t)
	try.run(func() { s.perform(try, c) })
	if !try.failed() {
		t.Errorf("the waiver is not needed: the check passes")
	}
	t.Logf("waived: %s", why)
}

func checkWaiver(t T, name Check, why string) {
	t.Helper()
	if why == "" {
		t.Errorf("the waiver of %s has no reason", name)
	}
	if !slices.ContainsFunc(checks(), func(c check) bool { return c.name == name }) {
		t.Errorf("there is no check %s to waive", name)
	}
}

// perform gives a check a fixture of its own. A method that panics fails the check, not the program.
func (s Suite) perform(t T, c check) {
	b := s.bench(t)
	defer b.guard()
	c.run(b)
}
