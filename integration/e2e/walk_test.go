//go:build lab

package e2e

import (
	"maps"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// TestMixedDomain takes the main job through: one snapshot over four storages, and every way back.
func TestMixedDomain(t *testing.T) {
	walk(t, five())
}

// TestOtherWays is the same walk for what the mixed domain does not have: a raw base, shared directories, XFS.
func TestOtherWays(t *testing.T) {
	walk(t, small(lab.RawFile, lab.BtrfsFile, lab.XFSFile, lab.QcowFile, lab.QcowFile))
}

// walk takes snapshots of a running and of a stopped domain, reverts back and forth, and deletes everything.
func walk(t *testing.T, disks []lab.Disk) {
	before := objects(t)
	m := startMachine(t, disks)
	w := &walker{machine: m, sums: map[string]map[string]string{}}
	w.takeRunning("s1", 1)
	w.takeRunning("s2", 2)
	m.fill(3)
	m.off()
	w.takeOff("s3")
	for _, name := range []string{"s1", "s2", "s1", "s1", "s3"} {
		w.revertTo(name)
	}
	w.revertOne("s2")
	w.revertRunning("s1", 1)
	w.deleteAll(before)
}

type walker struct {
	*machine
	// sums are the checksums of each snapshot's backup sources, when it was new.
	sums map[string]map[string]string
}

func (w *walker) takeRunning(name string, seed uint64) {
	w.t.Helper()
	w.fill(seed)
	s := w.p.create(w.Name(), name, "--quiesce", "require")
	c := s.Consistency
	if c.Level != "filesystem" || c.FilesystemsFrozen != len(w.targets) || c.FilesystemsThawed != len(w.targets) {
		w.t.Errorf("%s: %+v", name, c)
	}
	w.t.Logf("%s: frozen for %d ms", name, c.FrozenMS)
	if w.frozen() {
		w.t.Fatalf("after %s the guest is frozen", name)
	}
	w.remember(s)
}

func (w *walker) takeOff(name string) {
	w.t.Helper()
	present := w.diskSums()
	s := w.p.create(w.Name(), name)
	if s.Consistency.Level != "offline" {
		w.t.Errorf("%s: %+v", name, s.Consistency)
	}
	w.remember(s)
	if !maps.Equal(present, w.sums[name]) {
		w.t.Errorf("%s does not hold what the disks held: %v, want %v", name, w.sums[name], present)
	}
}

func (w *walker) remember(s orchestrator.Snapshot) {
	w.t.Helper()
	w.sums[s.Name] = w.sourceSums(s.Name)
	if !s.Current || len(s.Disks) != len(w.targets) {
		w.t.Errorf("%s: %+v", s.Name, s)
	}
}

// revertTo reverts the stopped domain and looks at everything that must and must not have changed.
func (w *walker) revertTo(name string) {
	w.t.Helper()
	blocks := w.blocks()
	r := w.p.revert(w.Name(), name)
	for _, d := range r.Disks {
		w.t.Logf("%s: %s, %d bytes, %d ms", d.Target, d.How, d.BytesWritten, d.TookMS)
		if !d.InPlace {
			w.t.Errorf("%s was not reverted in place", d.Target)
		}
	}
	if now := w.blocks(); now != blocks {
		w.t.Errorf("the disks have moved:\n%s\nwas\n%s", now, blocks)
	}
	if now := w.diskSums(); !maps.Equal(now, w.sums[name]) {
		w.t.Fatalf("after the revert to %s: %v, want %v", name, now, w.sums[name])
	}
	w.checkSources()
	if r.Safety == nil {
		w.t.Error("there is no safety snapshot")
	}
}

// checkSources: no snapshot has changed.
func (w *walker) checkSources() {
	w.t.Helper()
	for name, was := range w.sums {
		if now := w.sourceSums(name); !maps.Equal(now, was) {
			w.t.Errorf("snapshot %s has changed: %v, was %v", name, now, was)
		}
	}
}

// revertOne reverts the second disk by itself.
func (w *walker) revertOne(name string) {
	w.t.Helper()
	target := w.targets[1]
	want := w.diskSums()
	want[target] = w.sums[name][target]
	var r orchestrator.RevertResult
	w.p.must(&r, "disk-revert", w.Name(), target, name, "--no-safety")
	if len(r.Disks) != 1 || r.Safety != nil {
		w.t.Errorf("disk-revert: %+v", r)
	}
	if now := w.diskSums(); !maps.Equal(now, want) {
		w.t.Errorf("after disk-revert of %s: %v, want %v", target, now, want)
	}
}

// revertRunning reverts a running guest, which has to be forced, undoes that, and reverts once more.
func (w *walker) revertRunning(name string, seed uint64) {
	w.t.Helper()
	w.on()
	w.fill(seed)
	want := w.guestSums()
	w.fill(99)
	before := w.guestSums()
	w.p.fails(6, "snapshot-revert", w.Name(), name)
	safety := w.revertForced(name, want)
	w.revertForced(safety, before)
	w.revertForced(name, want)
}

// revertForced asks the guest what it has afterwards, and gives the name of the safety snapshot.
func (w *walker) revertForced(name, want string) string {
	w.t.Helper()
	_, err := w.Exec(w.t.Context(), "sync")
	check(w.t, err)
	r := w.p.revert(w.Name(), name, "--force")
	if r.DomainState != orchestrator.Running {
		w.t.Errorf("the domain is %s", r.DomainState)
	}
	check(w.t, w.WaitAgent(lab.BootTimeout))
	if now := w.guestSums(); now != want {
		w.t.Errorf("in the guest after the revert to %s:\n%s\nwant\n%s", name, now, want)
	}
	return *r.Safety
}

// deleteAll deletes half while the guest runs and half when it is off.
func (w *walker) deleteAll(before string) {
	w.t.Helper()
	want := w.guestSums()
	for _, name := range []string{"s2", "s1"} {
		w.p.delete(w.Name(), name)
	}
	if now := w.guestSums(); now != want {
		w.t.Errorf("deleting changed the disks:\n%s\nwant\n%s", now, want)
	}
	w.off()
	present := w.diskSums()
	for _, s := range w.p.list(w.Name()) {
		if s.State == orchestrator.StateAvailable {
			w.p.delete(w.Name(), s.Name)
		}
	}
	if now := w.diskSums(); !maps.Equal(now, present) {
		w.t.Errorf("deleting changed the disks: %v, want %v", now, present)
	}
	if left := w.p.list(w.Name()); len(left) > 0 {
		w.t.Errorf("snapshots are left: %+v", left)
	}
	if now := objects(w.t); now != before {
		w.t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
}
