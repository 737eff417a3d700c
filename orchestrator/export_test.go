package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/export"
	"github.com/domsnap/domsnap/orchestrator/hold"
	"github.com/domsnap/domsnap/orchestrator/keep"
)

// serving is an export of a disk to those who read at a socket.
func serving(name string) orchestrator.ExportOptions {
	return orchestrator.ExportOptions{Domain: "web1", Snapshot: name, Disk: "vda", Socket: "/run/socket"}
}

// whileServed exports and does something while others read.
func (r *rig) whileServed(opts orchestrator.ExportOptions, do func(image.Export)) *orchestrator.Exported {
	r.t.Helper()
	done := false
	r.serve = func(_ context.Context, e image.Export) error {
		done = true
		do(e)
		return nil
	}
	e, err := r.Export(r.t.Context(), opts)
	if err != nil || !done {
		r.t.Fatalf("export: %v", err)
	}
	r.wantNoHolds()
	return e
}

func (r *rig) wantNoHolds() {
	r.t.Helper()
	if left, err := filepath.Glob(filepath.Join(r.dir, "holds", "*", "*")); err != nil || len(left) > 0 {
		r.t.Errorf("holds are left: %q, %v", left, err)
	}
}

func (r *rig) delete(name string) *orchestrator.DeleteResult {
	r.t.Helper()
	result, err := r.Delete(r.t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: name})
	if err != nil {
		r.t.Fatalf("delete %s: %v", name, err)
	}
	return result
}

// wantPending: the delete waits for a process that reads, and says so.
func (r *rig) wantPending(result *orchestrator.DeleteResult, name, because string) {
	r.t.Helper()
	if len(result.Deleted) > 0 || len(result.PendingDelete) != 1 || result.PendingDelete[0].Name != name {
		r.t.Fatalf("%+v", result)
	}
	got := strings.Join(result.PendingDelete[0].Because, "; ")
	if want := fmt.Sprintf("vda is needed by process %d (snapshot-export, since ", os.Getpid()); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, because) {
		r.t.Errorf("because %s", got)
	}
}

func TestSnapshotStaysWhileItIsRead(t *testing.T) {
	r := newRig(t).off()
	r.take("one")
	e := r.whileServed(serving("one"), func(image.Export) {
		r.wantPending(r.delete("one"), "one", "Z)")
		s, err := r.Info(t.Context(), "web1", "one")
		if err != nil || s.State != orchestrator.StatePendingDelete || len(s.Holds) != 1 || s.Children() != 0 {
			t.Fatalf("%+v, %v", s, err)
		}
		if diff := cmp.Diff([]string{s.Holds[0].String()}, s.Dependents); diff != "" {
			t.Error(diff)
		}
		r.take("two")
		r.wantFound()
		if did, err := r.Recover(t.Context(), ""); err != nil || len(did) > 0 {
			t.Errorf("recover did %v, %v", did, err)
		}
		_, err = r.Export(t.Context(), serving("one"))
		wantError(t, err, orchestrator.ErrRefused)
	})
	if diff := cmp.Diff([]string{"one"}, e.Deleted); diff != "" {
		t.Error(diff)
	}
	r.wantNames("two")
}

func TestSnapshotStaysUntilTheLastReaderGoes(t *testing.T) {
	r := newRig(t).off()
	r.take("one")
	other := serving("one")
	other.Disk = "vdb"
	e := r.whileServed(serving("one"), func(image.Export) {
		e := r.whileServedInside(other, func() { r.delete("one") })
		if len(e.Deleted) > 0 {
			t.Errorf("it is read still: %+v", e)
		}
		r.wantNames("one")
	})
	if len(e.Deleted) != 1 {
		t.Errorf("%+v", e)
	}
}

// whileServedInside is an export while another one is at work.
func (r *rig) whileServedInside(opts orchestrator.ExportOptions, do func()) *orchestrator.Exported {
	r.t.Helper()
	r.serve = func(context.Context, image.Export) error {
		do()
		return nil
	}
	e, err := r.Export(r.t.Context(), opts)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// TestDropThatWouldDisturbAReaderWaits: also one that gives what is read another name.
func TestDropThatWouldDisturbAReaderWaits(t *testing.T) {
	var method *layered
	r := newRig(t, layeredAs(&method)).off()
	one, two, three := r.takeBy("one", "layered"), r.takeBy("two", "layered"), r.takeBy("three", "layered")
	method.renames[one.ID], method.disturbs[two.ID] = three.ID, three.ID
	e := r.whileServed(serving("three"), func(image.Export) {
		r.wantPending(r.delete("one"), "one", "which reads snapshot three through it")
		r.wantPending(r.delete("two"), "two", "which reads snapshot three through it")
	})
	if len(e.Deleted) != 2 {
		t.Errorf("%+v", e)
	}
	r.wantNames("three")
}

func TestPrunedSnapshotThatIsReadWaits(t *testing.T) {
	r := newRig(t).off()
	r.take("one")
	r.take("two")
	e := r.whileServed(serving("one"), func(image.Export) {
		result, err := r.Prune(t.Context(), orchestrator.PruneOptions{Domain: "web1", Keep: keep.Rules{Last: 1}})
		if err != nil {
			t.Fatal(err)
		}
		r.wantPending(&result.DeleteResult, "one", "Z)")
	})
	if len(e.Deleted) != 1 {
		t.Errorf("%+v", e)
	}
}

func TestRevertLeavesWhatIsRead(t *testing.T) {
	r := twoSnapshots(t)
	r.whileServed(serving("one"), func(image.Export) {
		r.revert("one")
		r.wantContent("a one", "b one")
		s, err := r.Info(t.Context(), "web1", "one")
		if err != nil || string(r.store.Snapshot(s.Disks[0].Ref)) != "a one" {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// TestWhatAKilledReaderHeldGoesWithRecover is also the end of one that could not tidy up.
func TestWhatAKilledReaderHeldGoesWithRecover(t *testing.T) {
	r := newRig(t).off()
	s := r.take("one")
	h, err := hold.Store{Dir: filepath.Join(r.dir, "holds")}.Take(r.domain.uuid,
		hold.Note{Snapshot: s.ID, Disk: "vda", PID: os.Getpid(), For: "snapshot-export", Since: r.clock})
	if err != nil {
		t.Fatal(err)
	}
	r.wantPending(r.delete("one"), "one", "Z)")
	if err := h.File.Close(); err != nil {
		t.Fatal(err)
	}
	r.wantFound("needless | one | one is to be deleted, and nobody needs it any more")
	steps, err := r.PlanRecover(t.Context(), "web1")
	if diff := cmp.Diff([]orchestrator.PlannedStep{{Step: "web1: delete one, which nobody needs any more"}}, steps); diff != "" || err != nil {
		t.Errorf("planned: %s, %v", diff, err)
	}
	if did := r.recover(); len(did) != 1 {
		t.Errorf("did %+v", did)
	}
	r.wantNames()
}

// TestWhatAKilledReaderHeldGoesWithTheNextDelete, and so does what is left of the hold.
func TestWhatAKilledReaderHeldGoesWithTheNextDelete(t *testing.T) {
	r := newRig(t).off()
	s := r.take("one")
	r.take("two")
	h, err := hold.Store{Dir: filepath.Join(r.dir, "holds")}.Take(r.domain.uuid, hold.Note{Snapshot: s.ID, Disk: "vda", PID: 1})
	if err != nil {
		t.Fatal(err)
	}
	r.delete("one")
	if err := h.File.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"two", "one"}, r.delete("two").Deleted); diff != "" {
		t.Error(diff)
	}
	r.wantNoHolds()
}

// TestHoldWaitsForWhoIsAtWork: what is being deleted is never held.
func TestHoldWaitsForWhoIsAtWork(t *testing.T) {
	r := newRig(t).off()
	r.take("one")
	lock, err := os.Open(filepath.Join(r.dir, "locks", r.domain.uuid))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	_, err = r.Export(t.Context(), serving("one"))
	wantError(t, err, orchestrator.ErrBusy)
	r.wantNoHolds()
}

func TestExportThatFailsHoldsNothing(t *testing.T) {
	r := newRig(t).off()
	r.take("one")
	r.serve = func(context.Context, image.Export) error { return errPlanned }
	_, err := r.Export(t.Context(), serving("one"))
	wantError(t, err, errPlanned)
	r.wantNoHolds()
	if result := r.delete("one"); len(result.Deleted) != 1 {
		t.Errorf("%+v", result)
	}
}

// TestExportServesTheSource: the server holds the snapshot too.
func TestExportServesTheSource(t *testing.T) {
	r := twoSnapshots(t)
	opts := serving("two")
	opts.Since = "one"
	e := r.whileServed(opts, func(e image.Export) {
		if !strings.HasPrefix(e.Image.Source.File, memory.Prefix) || !e.Marked || len(e.Changed) != 1 || e.Size != 5 {
			t.Errorf("%+v", e)
		}
		if _, err := os.Stat(e.Work); err != nil || e.Keep == nil {
			t.Errorf("%+v, %v", e, err)
		}
		if result := r.delete("one"); len(result.PendingDelete) != 1 {
			t.Errorf("what it is compared with went: %+v", result)
		}
	})
	if e.Since == nil || *e.Since != "one" || e.Extents != 1 || e.NBD != "nbd+unix:///?socket=/run/socket" || e.Context == "" || len(e.Deleted) != 1 {
		t.Errorf("%+v", e)
	}
}

func TestExportWritesAFile(t *testing.T) {
	r := twoSnapshots(t)
	opts := orchestrator.ExportOptions{
		Domain: "web1", Snapshot: "one", Disk: "vda", File: filepath.Join(t.TempDir(), "out"), Format: export.Raw,
	}
	e, err := r.Export(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	want := &orchestrator.Exported{
		Domain: "web1", Name: "one", Disk: "vda", File: opts.File, Format: "raw", Size: 5, BytesWritten: 5, Deleted: []string{},
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
	if text, err := os.ReadFile(opts.File); string(text) != "a one" {
		t.Errorf("%q, %v", text, err)
	}
	_, err = r.Export(t.Context(), opts)
	wantError(t, err, methods.ErrExists)
	r.wantNoHolds()
}

func TestExportIsRefused(t *testing.T) {
	silent := func(r *rig) methods.Method {
		return memory.New(r.store, memory.Options{Name: "silent", Without: methods.Verbs{Changes: true, Source: true}})
	}
	r := newRig(t, silent).off()
	r.take("one")
	r.take("two")
	r.takeBy("other", "silent")
	r.takeBy("another", "silent")
	for _, c := range []struct {
		name, since, disk string
		want              error
		says              string
	}{
		{"nothing", "", "vda", orchestrator.ErrNotFound, "nothing"},
		{"one", "", "vdz", orchestrator.ErrNotFound, "vdz"},
		{"one", "nothing", "vda", orchestrator.ErrNotFound, "nothing"},
		{"one", "one", "vda", orchestrator.ErrUsage, "itself"},
		{"other", "", "vda", orchestrator.ErrRefused, "silent has no backup source"},
		{"other", "one", "vda", orchestrator.ErrRefused, "disk vda was taken by method memory in snapshot one, and by silent in other"},
		{"another", "other", "vda", orchestrator.ErrRefused, "silent has no list of changes"},
	} {
		opts := serving(c.name)
		opts.Since, opts.Disk = c.since, c.disk
		_, err := r.Export(t.Context(), opts)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c, err)
		}
		r.wantNoHolds()
	}
}
