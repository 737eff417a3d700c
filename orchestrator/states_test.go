package orchestrator_test

import (
	"testing"

	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
)

func (r *rig) wantStates(want map[string]string) {
	r.t.Helper()
	list, err := r.List(r.t.Context(), "web1")
	if err != nil {
		r.t.Fatal(err)
	}
	if len(list) != len(want) {
		r.t.Errorf("there are %d snapshots, want %d", len(list), len(want))
	}
	for _, s := range list {
		if s.State != want[s.Name] {
			r.t.Errorf("snapshot %s is %s, want %s", s.Name, s.State, want[s.Name])
		}
	}
}

func TestStateWhileItIsCreated(t *testing.T) {
	r := newRig(t)
	r.take("zero")
	r.dieAt(memory.AfterTake, "vdb")
	r.wantStates(map[string]string{"zero": orchestrator.StateAvailable, "one": orchestrator.StateCreating})
	r.recover()
	r.wantStates(map[string]string{"zero": orchestrator.StateAvailable})
	r.store.Fail(memory.AfterTake, "vdb", nil)
	r.take("one")
	r.wantStates(map[string]string{"zero": orchestrator.StateAvailable, "one": orchestrator.StateAvailable})
}

func TestStateWhileItIsRevertedTo(t *testing.T) {
	r := twoSnapshots(t)
	opts := revertTo("one")
	opts.NoSafety = true
	r.breakRevert(opts)
	r.wantStates(map[string]string{"one": orchestrator.StateReverting, "two": orchestrator.StateAvailable})
	r.recover()
	r.wantStates(map[string]string{"one": orchestrator.StateAvailable, "two": orchestrator.StateAvailable})
}

func TestStateWhileItIsDeleted(t *testing.T) {
	r := twoSnapshots(t)
	r.store.Fail(memory.AtDrop, "vdb", errPlanned)
	_, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"})
	wantError(t, err, orchestrator.ErrUnfinished)
	r.store.Fail(memory.AtDrop, "vdb", nil)
	r.wantStates(map[string]string{"one": orchestrator.StateDeleting, "two": orchestrator.StateAvailable})
	r.recover()
	r.wantStates(map[string]string{"two": orchestrator.StateAvailable})
}

func TestCheckState(t *testing.T) {
	wantError(t, orchestrator.CheckState("gone"), orchestrator.ErrUsage)
	if err := orchestrator.CheckState(orchestrator.StateBroken); err != nil {
		t.Error(err)
	}
}
