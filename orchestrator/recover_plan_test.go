package orchestrator_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
)

// wantPlan compares the plan with steps in which ID stands for whatever a snapshot's id is, and makes sure that planning
// changed nothing.
func (r *rig) wantPlan(domain string, want ...string) {
	r.t.Helper()
	before := append(r.store.Objects(), r.domain.metadata)
	steps, err := r.PlanRecover(r.t.Context(), domain)
	if err != nil {
		r.t.Fatal(err)
	}
	got := []string{}
	for _, s := range steps {
		got = append(got, withoutID(s.Step))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("the plan: %s", diff)
	}
	if diff := cmp.Diff(before, append(r.store.Objects(), r.domain.metadata)); diff != "" {
		r.t.Errorf("planning changed something: %s", diff)
	}
}

func withoutID(step string) string {
	before, after, ok := strings.Cut(step, "ds-")
	if !ok {
		return step
	}
	_, after, _ = strings.Cut(after, "-")
	return before + "ds-ID-" + after
}

func TestPlanOfRecoverWithoutWorkIsEmpty(t *testing.T) {
	r := newRig(t)
	for _, domain := range []string{"", "web1"} {
		if steps, err := r.PlanRecover(t.Context(), domain); err != nil || steps == nil || len(steps) > 0 {
			t.Errorf("the plan of %q is %#v, %v", domain, steps, err)
		}
	}
}

func TestPlanOfRecoverOfACreate(t *testing.T) {
	r := newRig(t)
	r.dieAt(memory.AfterTake, "vdb")
	r.wantPlan("web1", "web1: let the guest go, if it is held",
		"web1: remove vda by memory: ds-ID-vda", "web1: remove vdb by memory: ds-ID-vdb", "web1: end the journal")
	r.recover()
}

func TestPlanOfRecoverOfARevert(t *testing.T) {
	r := twoSnapshots(t)
	r.enter(orchestrator.Running)
	r.breakRevert(orchestrator.RevertOptions{Domain: "web1", Snapshot: "one", Force: true})
	r.wantPlan("",
		"web1: keep the present of vda by memory, where that is missing: ds-ID-vda",
		"web1: keep the present of vdb by memory, where that is missing: ds-ID-vdb",
		"web1: revert vda by memory to ds-ID-vda", "web1: revert vdb by memory to ds-ID-vdb",
		"web1: write the lineage", "web1: start the domain", "web1: end the journal")
	r.recover()
	r.wantState(orchestrator.Running)
}

func TestPlanOfRecoverOfARevertWhoseDisksAreDone(t *testing.T) {
	r := twoSnapshots(t)
	r.domain.writeFails = behindTheFirst(errPlanned)
	_, err := r.Revert(t.Context(), revertTo("one"))
	wantError(t, err, orchestrator.ErrUnfinished)
	r.domain.writeFails = nil
	r.wantPlan("web1", "web1: write the lineage", "web1: end the journal")
	r.recover()
}

func TestPlanOfRecoverOfADelete(t *testing.T) {
	r := twoSnapshots(t)
	r.store.Fail(memory.AtDrop, "vdb", errPlanned)
	_, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"})
	wantError(t, err, orchestrator.ErrUnfinished)
	r.store.Fail(memory.AtDrop, "vdb", nil)
	r.wantPlan("web1", "web1: drop vda by memory: ds-ID-vda", "web1: drop vdb by memory: ds-ID-vdb",
		"web1: forget snapshot one", "web1: end the journal")
	r.recover()
	r.wantNames("two")
}

func TestPlanOfRecoverSaysWhatStandsInTheWay(t *testing.T) {
	r := twoSnapshots(t)
	r.breakRevert(revertTo("one"))
	r.enter(orchestrator.Running)
	_, err := r.PlanRecover(t.Context(), "web1")
	wantError(t, err, orchestrator.ErrUnfinished, orchestrator.ErrRefused)
	r.enter(orchestrator.Shutoff)
	r.recover()
}
