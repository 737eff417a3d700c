package memory_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
)

var errPlanned = errors.New("planned")

// fixture is a store with one disk, vda, and the request for a snapshot of it.
type fixture struct {
	*memory.Method
	store *memory.Store
	disk  methods.Disk
}

func newFixture(o memory.Options) *fixture {
	f := &fixture{store: memory.NewStore(), disk: diskAt("vda")}
	f.store.SetDisk(f.disk.Source.File, []byte("before"))
	f.Method = memory.New(f.store, o)
	return f
}

func diskAt(target string) methods.Disk {
	return methods.Disk{Target: target, Source: methods.Source{File: memory.Prefix + target}, Format: "raw"}
}

func (f *fixture) plan(t *testing.T, id string, disk methods.Disk) methods.Ref {
	t.Helper()
	ref, err := f.Plan(t.Context(), methods.PlanRequest{Disk: disk, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func (f *fixture) taken(t *testing.T, id string) methods.Ref {
	t.Helper()
	ref := f.plan(t, id, f.disk)
	if err := f.Take(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

func (f *fixture) wantObjects(t *testing.T, want ...string) {
	t.Helper()
	if got := f.store.Objects(); !slices.Equal(got, want) {
		t.Errorf("the store has %q, want %q", got, want)
	}
}

func TestPlanIsDeterministicAndChangesNothing(t *testing.T) {
	f := newFixture(memory.Options{})
	if diff := cmp.Diff(f.plan(t, "sone", f.disk), f.plan(t, "sone", f.disk)); diff != "" {
		t.Errorf("the same request has two answers: %s", diff)
	}
	f.wantObjects(t)
}

func TestPlanRefuses(t *testing.T) {
	f := newFixture(memory.Options{})
	f.taken(t, "staken")
	elsewhere := diskAt("vda")
	elsewhere.Source.File = "/elsewhere"
	for _, c := range []struct {
		name string
		id   string
		disk methods.Disk
		want error
	}{
		{"a name that is taken", "staken", f.disk, methods.ErrExists},
		{"a disk that is not there", "snew", diskAt("vdz"), methods.ErrBlocked},
		{"a disk of another storage", "snew", elsewhere, methods.ErrUnsupported},
	} {
		_, err := f.Plan(t.Context(), methods.PlanRequest{Disk: c.disk, ID: c.id})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestSnapshotDoesNotChangeWithItsDisk(t *testing.T) {
	f := newFixture(memory.Options{})
	ref := f.taken(t, "sone")
	f.store.SetDisk(f.disk.Source.File, []byte("after!"))
	if got := string(f.store.Snapshot(ref.Name)); got != "before" {
		t.Errorf("the snapshot holds %q", got)
	}
}

func TestTakeTwiceIsErrExists(t *testing.T) {
	f := newFixture(memory.Options{})
	ref := f.taken(t, "sone")
	if err := f.Take(t.Context(), ref); !errors.Is(err, methods.ErrExists) {
		t.Errorf("the second take: %v", err)
	}
}

func TestStatTellsWhatBecameOfASnapshot(t *testing.T) {
	f := newFixture(memory.Options{})
	ref := f.plan(t, "sone", f.disk)
	if _, err := f.Stat(t.Context(), ref); !errors.Is(err, methods.ErrNotFound) {
		t.Errorf("before the take: %v", err)
	}
	f.taken(t, "sone")
	if info, err := f.Stat(t.Context(), ref); err != nil || info.BytesUsed != 6 {
		t.Errorf("after the take: %+v, %v", info, err)
	}
	f.store.Break(ref.Name)
	if _, err := f.Stat(t.Context(), ref); !errors.Is(err, methods.ErrBroken) {
		t.Errorf("after its content was lost: %v", err)
	}
}

func TestDropLeavesTheRest(t *testing.T) {
	f := newFixture(memory.Options{})
	first, second := f.taken(t, "sone"), f.taken(t, "stwo")
	for range 2 {
		if err := f.Drop(t.Context(), methods.DropRequest{Ref: first, Disk: f.disk}); err != nil {
			t.Fatal(err)
		}
	}
	f.wantObjects(t, second.Name)
	if got := string(f.store.Disk(f.disk.Source.File)); got != "before" {
		t.Errorf("the disk holds %q", got)
	}
}

func TestDropRemovesWhatWasOnlyPrepared(t *testing.T) {
	f := newFixture(memory.Options{})
	ref := f.plan(t, "sone", f.disk)
	ready, err := f.Prepare(t.Context(), []methods.Ref{ref})
	if err != nil {
		t.Fatal(err)
	}
	f.wantObjects(t, ref.Name)
	if err := errors.Join(ready.Close(t.Context()), f.Drop(t.Context(), methods.DropRequest{Ref: ref})); err != nil {
		t.Fatal(err)
	}
	f.wantObjects(t)
}

func TestRevertTwiceIsTheSameAsOnce(t *testing.T) {
	f := newFixture(memory.Options{})
	ref := f.taken(t, "sone")
	for range 2 {
		f.store.SetDisk(f.disk.Source.File, []byte("after!"))
		if _, err := f.Revert(t.Context(), methods.RevertRequest{To: ref, Disk: f.disk}); err != nil {
			t.Fatal(err)
		}
		if got := string(f.store.Disk(f.disk.Source.File)); got != "before" {
			t.Errorf("the disk holds %q", got)
		}
	}
	f.wantObjects(t, ref.Name)
}

func TestRevertThatStoppedHalfWayIsFinishedByTheNext(t *testing.T) {
	f := newFixture(memory.Options{})
	ref := f.taken(t, "sone")
	keep := f.plan(t, "skept", f.disk)
	f.store.SetDisk(f.disk.Source.File, []byte("after!"))
	req := methods.RevertRequest{To: ref, Disk: f.disk, Keep: &keep}
	f.store.Fail(memory.MidRevert, "vda", errPlanned)
	if _, err := f.Revert(t.Context(), req); !errors.Is(err, errPlanned) {
		t.Fatalf("the first attempt: %v", err)
	}
	f.store.Fail(memory.MidRevert, "vda", nil)
	if _, err := f.Revert(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if got := string(f.store.Disk(f.disk.Source.File)); got != "before" {
		t.Errorf("the disk holds %q", got)
	}
	if got := string(f.store.Snapshot(keep.Name)); got != "after!" {
		t.Errorf("what was kept holds %q", got)
	}
}

func TestCheckRevertFindsTheBlocker(t *testing.T) {
	f := newFixture(memory.Options{})
	taken, missing := f.taken(t, "sone"), f.plan(t, "stwo", f.disk)
	running := f.disk
	running.Domain.Active = true
	f.store.SetDisk(memory.Prefix+"grown", []byte("before and more"))
	grown := diskAt("grown")
	for _, c := range []struct {
		name string
		to   methods.Ref
		disk methods.Disk
		want error
	}{
		{"a running domain", taken, running, methods.ErrBlocked},
		{"another size", taken, grown, methods.ErrBlocked},
		{"no disk", taken, diskAt("vdz"), methods.ErrBlocked},
		{"no snapshot", missing, f.disk, methods.ErrNotFound},
	} {
		err := f.CheckRevert(t.Context(), methods.RevertRequest{To: c.to, Disk: c.disk})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestGroupIsTakenWholeOrNotAtAll(t *testing.T) {
	f := newFixture(memory.Options{Atomic: true})
	f.store.SetDisk(memory.Prefix+"vdb", []byte("other"))
	refs := []methods.Ref{f.plan(t, "sone", f.disk), f.plan(t, "sone", diskAt("vdb"))}
	ready, err := f.Prepare(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	f.store.Fail(memory.AtTake, "vdb", errPlanned)
	if err := ready.Take(t.Context()); !errors.Is(err, errPlanned) {
		t.Errorf("the take: %v", err)
	}
	for _, ref := range refs {
		if _, err := f.Stat(t.Context(), ref); !errors.Is(err, methods.ErrNotFound) {
			t.Errorf("%s after a take that failed: %v", ref.Disk.Target, err)
		}
	}
}

func TestSnapshotThatMovesItsDisk(t *testing.T) {
	var moved string
	f := newFixture(memory.Options{Move: func(_ context.Context, _ methods.Domain, _, file string) error {
		moved = file
		return nil
	}})
	ref := f.taken(t, "sone")
	if moved != ref.Active || f.store.Disk(ref.Active) == nil || f.store.Disk(ref.Origin) != nil {
		t.Errorf("the disk was moved to %q, want %q", moved, ref.Active)
	}
}

func TestCancelledVerbChangesNothing(t *testing.T) {
	f := newFixture(memory.Options{})
	ref := f.plan(t, "sone", f.disk)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Take(ctx, ref); !errors.Is(err, context.Canceled) {
		t.Errorf("the take: %v", err)
	}
	f.wantObjects(t)
}
