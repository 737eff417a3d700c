package orchestrator_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/lease"
)

// leased is a snapshot with a lease of an hour.
func (r *rig) leased(name string) *orchestrator.Snapshot {
	r.t.Helper()
	s, err := r.Create(r.t.Context(), orchestrator.CreateOptions{
		Domain: "web1", Name: name, Lease: lease.Lease{Until: r.clock.Add(time.Hour)},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func TestExpireDeletesWhatIsOver(t *testing.T) {
	r := newRig(t).off()
	r.take("mine")
	if s := r.leased("lent"); !s.Temporary || s.Until == nil || r.take("last").Temporary {
		t.Errorf("it is %+v", s)
	}
	result, err := r.Expire(t.Context(), "web1")
	if err != nil || len(result.Deleted) > 0 {
		t.Errorf("before the end: %+v, %v", result, err)
	}
	r.wantFound()
	r.clock = r.clock.Add(time.Hour)
	r.wantFound("expired | lent | the lease of lent is over")
	result, err = r.Expire(t.Context(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"lent"}, result.Deleted); diff != "" {
		t.Error(diff)
	}
	r.wantNames("mine", "last")
}

func TestRecoverEndsLeasesThatNobodyKeeps(t *testing.T) {
	for _, domain := range []string{"", "web1"} {
		r := newRig(t).off()
		r.leased("lent")
		r.clock = r.clock.Add(time.Hour)
		steps, err := r.PlanRecover(t.Context(), domain)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]orchestrator.PlannedStep{{Step: "web1: delete lent, whose lease is over"}}, steps); diff != "" {
			t.Errorf("planned: %s", diff)
		}
		did, err := r.Recover(t.Context(), domain)
		if err != nil || len(did) != 1 {
			t.Fatalf("recover did %+v, %v", did, err)
		}
		if diff := cmp.Diff([]string{"deleted lent, whose lease was over or which nobody needed any more"}, did[0].Did); diff != "" {
			t.Error(diff)
		}
		r.recover()
		r.wantNames()
	}
}

func TestPruneLeavesLeasesAlone(t *testing.T) {
	r := nights(t, "mon", "tue")
	r.leased("lent")
	r.take("wed")
	got, err := r.Prune(t.Context(), lastTwo())
	if err != nil {
		t.Fatal(err)
	}
	want := []orchestrator.Kept{
		{Name: "tue", Because: []string{"last"}}, {Name: "lent", Because: []string{"temporary"}},
		{Name: "wed", Because: []string{"current", "last"}},
	}
	if diff := cmp.Diff(want, got.Kept); diff != "" {
		t.Error(diff)
	}
	r.clock = r.clock.Add(time.Hour)
	if _, err := r.Prune(t.Context(), lastTwo()); err != nil {
		t.Fatal(err)
	}
	r.wantNames("tue", "wed")
}
