package orchestrator_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
)

// found is what Check says of all domains and of the one: kind, snapshot, and the beginning of what. It changes nothing.
func (r *rig) found() []string {
	r.t.Helper()
	before := append(r.store.Objects(), r.domain.metadata)
	all, err := r.Check(r.t.Context(), "")
	if err != nil {
		r.t.Fatal(err)
	}
	one, err := r.Check(r.t.Context(), "web1")
	if err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(all, one); diff != "" {
		r.t.Errorf("all domains (-), the only one (+): %s", diff)
	}
	if diff := cmp.Diff(before, append(r.store.Objects(), r.domain.metadata)); diff != "" {
		r.t.Errorf("checking changed something: %s", diff)
	}
	if all.OK != (len(all.Findings) == 0) {
		r.t.Errorf("ok is %t with %d findings", all.OK, len(all.Findings))
	}
	found := []string{}
	for _, f := range all.Findings {
		if f.Domain != "web1" || f.Fix == "" {
			r.t.Errorf("%+v", f)
		}
		what, _, _ := strings.Cut(f.What, ":")
		found = append(found, strings.Join([]string{string(f.Kind), f.Snapshot, what}, " | "))
	}
	return found
}

func (r *rig) wantFound(want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), r.found()); diff != "" {
		r.t.Errorf("check: %s", diff)
	}
}

func TestCheckOfWhatIsAsItShouldBe(t *testing.T) {
	r := twoSnapshots(t)
	r.wantFound()
	r.revert("one")
	r.wantFound()
	r.enter(orchestrator.Running)
	r.wantFound()
}

func TestCheckFindsWhatTheStorageHasLost(t *testing.T) {
	r := twoSnapshots(t)
	one, err := r.Info(t.Context(), "web1", "one")
	if err != nil {
		t.Fatal(err)
	}
	m := memory.New(r.store, memory.Options{})
	if err := m.Drop(t.Context(), methods.DropRequest{Ref: methods.Ref{Name: one.Disks[0].Ref}}); err != nil {
		t.Fatal(err)
	}
	r.store.Break(one.Disks[1].Ref)
	r.wantFound("missing | one | vda by memory", "broken | one | vdb by memory")
	if _, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"}); err != nil {
		t.Fatal(err)
	}
	r.wantFound()
}

func TestCheckFindsWhatIsNotRecorded(t *testing.T) {
	r := newRig(t)
	s := r.take("one")
	if _, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one", Metadata: true}); err != nil {
		t.Fatal(err)
	}
	r.wantFound("orphan |  | vda by memory", "orphan |  | vdb by memory")
	for _, d := range s.Disks {
		r.orphans = append(r.orphans, d.Ref)
	}
}

func TestRepairAdoptsWhatItIsTold(t *testing.T) {
	r := newRig(t).off()
	r.write("a one", "b one")
	s := r.take("one")
	r.write("a now", "b now")
	if _, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one", Metadata: true}); err != nil {
		t.Fatal(err)
	}
	_, err := r.Repair(t.Context(), "web1", "sother")
	wantError(t, err, orchestrator.ErrNotFound)
	_, err = r.Repair(t.Context(), "", s.ID)
	wantError(t, err, orchestrator.ErrUsage)
	r.wantNames()
	result, err := r.Repair(t.Context(), "web1", s.ID)
	if err != nil || !result.OK || len(result.Repaired) != 2 {
		t.Fatalf("repair: %+v, %v", result, err)
	}
	r.wantNames("adopted-" + s.ID)
	r.revert("adopted-" + s.ID)
	r.wantContent("a one", "b one")
	_, err = r.Repair(t.Context(), "web1", s.ID)
	wantError(t, err, orchestrator.ErrRefused)
}

// Where a snapshot moves a disk, its object alone does not say what was where.
func TestAMovingSnapshotIsNotAdopted(t *testing.T) {
	r := newRig(t, moving).off()
	s, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "one", Descriptor: useMethod("moving", "vda", "vdb")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one", Metadata: true}); err != nil {
		t.Fatal(err)
	}
	for _, d := range s.Disks {
		r.orphans = append(r.orphans, d.Ref)
	}
	if _, err := r.Repair(t.Context(), "web1", s.ID); err == nil {
		t.Error("it was adopted")
	}
	r.wantNames()
}

func TestCheckFindsUnfinishedWork(t *testing.T) {
	r := newRig(t)
	r.dieAt(memory.AfterTake, "vdb")
	r.wantFound("unfinished |  | the create of a snapshot of domain web1, disks " +
		"vda by memory (" + r.store.Objects()[0] + "), vdb by memory (" + r.store.Objects()[1] + "), was begun and not ended")
	r.recover()
	r.wantFound()
}

func TestCheckFindsAGuestThatIsLeftFrozen(t *testing.T) {
	r := newRig(t)
	r.guest.SetState(2, false)
	r.wantFound("frozen |  | the guest's file systems are frozen, and domsnap is not at work")
	r.guest.BreakAgent()
	r.wantFound()
	r.guest.Mend()
	r.guest.SetState(0, false)
}

// foreseeing is a method that sees trouble coming for vdb.
type foreseeing struct{ *memory.Method }

func (f foreseeing) Verbs() methods.Verbs { return methods.Verbs{Claim: true, Warn: true} }

func (foreseeing) Warn(_ context.Context, disk methods.Disk) ([]methods.Warning, error) {
	if disk.Target != "vdb" {
		return nil, nil
	}
	return []methods.Warning{{What: "nearly full", Fix: "make room"}}, nil
}

func TestCheckPassesOnWhatMethodsSeeComing(t *testing.T) {
	r := newRig(t, func(r *rig) methods.Method {
		return foreseeing{memory.New(r.store, memory.Options{Name: "foreseeing"})}
	})
	result, err := r.Check(t.Context(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	want := &orchestrator.CheckResult{
		Findings: []orchestrator.Finding{{Kind: orchestrator.FoundWarning, Domain: "web1", What: "vdb by foreseeing: nearly full", Fix: "make room"}},
		Unchecked: []string{
			"web1, disk vda by foreseeing: foreseeing has no list of snapshots: not supported",
			"web1, disk vdb by foreseeing: foreseeing has no list of snapshots: not supported",
		},
	}
	if diff := cmp.Diff(want, result); diff != "" {
		t.Error(diff)
	}
}

func TestCheckOfADomainThatCannotBeReadIsAFinding(t *testing.T) {
	r := newRig(t)
	r.domain.metadata = "<lineage"
	if _, err := r.Check(t.Context(), "web1"); err == nil {
		t.Error("the damaged lineage was taken")
	}
	result, err := r.Check(t.Context(), "")
	if err != nil || result.OK || len(result.Findings) != 1 || result.Findings[0].Kind != orchestrator.FoundUnreadable {
		t.Errorf("of all domains: %+v, %v", result, err)
	}
	r.domain.metadata = ""
}
