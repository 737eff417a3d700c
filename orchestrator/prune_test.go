package orchestrator_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/keep"
)

// nights is a domain that is off, with a snapshot of each of some nights, the last of which is current.
func nights(t *testing.T, names ...string) *rig {
	t.Helper()
	r := newRig(t).off()
	for _, name := range names {
		r.clock = r.clock.Add(24 * time.Hour)
		r.take(name)
	}
	return r
}

func lastTwo() orchestrator.PruneOptions {
	return orchestrator.PruneOptions{Domain: "web1", Keep: keep.Rules{Last: 2}, SafetyFor: orchestrator.SafetyFor}
}

func TestPruneDeletesWhatNoRuleKeeps(t *testing.T) {
	r := nights(t, "mon", "tue", "wed", "thu")
	opts := lastTwo()
	opts.Keep.Daily = 3
	got, err := r.Prune(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	want := &orchestrator.PruneResult{
		Kept: []orchestrator.Kept{
			{Name: "tue", Because: []string{"daily"}},
			{Name: "wed", Because: []string{"last", "daily"}},
			{Name: "thu", Because: []string{"current", "last", "daily"}},
		},
		DeleteResult: orchestrator.DeleteResult{Deleted: []string{"mon"}, PendingDelete: []orchestrator.PendingDelete{}},
		Ancestors:    []string{"mon"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	r.wantNames("tue", "wed", "thu")
}

func TestPruneKeepsTheCurrentSnapshot(t *testing.T) {
	r := nights(t, "mon", "tue", "wed", "thu")
	r.revert("mon")
	opts := lastTwo()
	opts.SafetyFor = 0
	got, err := r.Prune(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Ancestors) > 0 {
		t.Errorf("the present derives from %v", got.Ancestors)
	}
	r.wantNames("mon", "wed", "thu")
}

func TestPruneKeepsSafetySnapshotsForTheirTime(t *testing.T) {
	r := nights(t, "mon")
	safety := *r.revert("mon").Safety
	r.clock = r.clock.Add(orchestrator.SafetyFor - time.Hour)
	if _, err := r.Prune(t.Context(), lastTwo()); err != nil {
		t.Fatal(err)
	}
	r.wantNames("mon", safety)
	r.clock = r.clock.Add(time.Hour)
	if _, err := r.Prune(t.Context(), lastTwo()); err != nil {
		t.Fatal(err)
	}
	r.wantNames("mon")
}

func TestPlanOfPruneChangesNothing(t *testing.T) {
	r := nights(t, "mon", "tue", "wed")
	before := append(r.store.Objects(), r.domain.metadata)
	steps, err := r.PlanPrune(t.Context(), lastTwo())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range steps {
		got = append(got, withoutID(s.Step))
	}
	want := []string{
		"keep snapshot tue: last", "keep snapshot wed: current, last", "the present derives from snapshot mon, which goes",
		"drop ds-ID-vda by memory of snapshot mon", "drop ds-ID-vdb by memory of snapshot mon", "forget snapshot mon",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, append(r.store.Objects(), r.domain.metadata)); diff != "" {
		t.Errorf("planning changed something: %s", diff)
	}
}

func TestPruneWithoutRulesDeletesNothing(t *testing.T) {
	r := nights(t, "mon", "tue")
	for _, rules := range []keep.Rules{{}, {Last: -3}} {
		opts := orchestrator.PruneOptions{Domain: "web1", Keep: rules}
		_, err := r.Prune(t.Context(), opts)
		wantError(t, err, orchestrator.ErrUsage)
		_, err = r.PlanPrune(t.Context(), opts)
		wantError(t, err, orchestrator.ErrUsage)
	}
	r.wantNames("mon", "tue")
}
