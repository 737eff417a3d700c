package orchestrator_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/xmlspec"
)

func TestPlanIsWhatCreateDoes(t *testing.T) {
	r := newRig(t, group, moving)
	r.addDisk(fakeDisk{target: "vdc", file: memory.Prefix + "vdc"}, "c")
	r.addDisk(fakeDisk{target: "vdd", file: memory.Prefix + "vdd"}, "d")
	d := useMethod("group", "vda", "vdc")
	d.Disks = append(d.Disks, useMethod("moving", "vdb").Disks...)
	opts := orchestrator.CreateOptions{Domain: "web1", Descriptor: d}
	p, err := r.PlanCreate(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	want := []orchestrator.PlannedStep{
		{Step: "write the journal"}, {Step: "keep the definition, firmware and TPM"}, {Step: "prepare vda, vdc by group"}, {Step: "prepare vdd by memory"}, {Step: "prepare vdb by moving"},
		{Step: "start the guardian"}, {Step: "hold the guest: " + p.Hold.Why, Window: true},
		{Step: "take vda, vdc by group", Window: true}, {Step: "take vdd by memory", Window: true}, {Step: "take vdb by moving", Window: true},
		{Step: "let the guest go", Window: true}, {Step: "write the lineage"}, {Step: "end the journal"},
	}
	if diff := cmp.Diff(want, p.Steps); diff != "" {
		t.Error(diff)
	}
	if _, err := r.Create(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	r.wantStepsDone(p, "prepare ", "take vdb")
}

// wantStepsDone compares what was done with the plan, step by step, as far as the order is fixed.
func (r *rig) wantStepsDone(p *orchestrator.Plan, prefixes ...string) {
	r.t.Helper()
	for _, prefix := range prefixes {
		var want []string
		for _, s := range p.Steps {
			if strings.HasPrefix(s.Step, prefix) {
				want = append(want, s.Step)
			}
		}
		if diff := cmp.Diff(want, r.stepsLike(prefix)); diff != "" {
			r.t.Error(diff)
		}
	}
}

func TestPlanChangesNothing(t *testing.T) {
	r := newRig(t)
	if _, err := r.PlanCreate(t.Context(), orchestrator.CreateOptions{Domain: "web1"}); err != nil {
		t.Fatal(err)
	}
	if r.domain.metadata != "" || len(r.guest.Log.Lines()) > 0 {
		t.Errorf("metadata is %q, the guest was asked %q", r.domain.metadata, r.guest.Log.Lines())
	}
}

func TestPlanSaysHowTheGuestIsHeld(t *testing.T) {
	for _, c := range []struct {
		state  orchestrator.State
		policy quiesce.Policy
		held   bool
	}{
		{orchestrator.Shutoff, quiesce.Try, false},
		{orchestrator.Paused, quiesce.Try, false},
		{orchestrator.Running, quiesce.Try, true},
		{orchestrator.Running, quiesce.No, true},
		{orchestrator.Running, quiesce.Require, true},
	} {
		r := newRig(t)
		r.enter(c.state)
		p, err := r.PlanCreate(t.Context(), orchestrator.CreateOptions{Domain: "web1", Quiesce: c.policy})
		if err != nil {
			t.Fatal(err)
		}
		if (p.Hold.HeldBy != nil) != c.held || p.Hold.Why == "" {
			t.Errorf("%s, %s: %+v", c.state, c.policy, p.Hold)
		}
	}
}

func TestDescriptorGivesTheNameUnlessTheCallDoes(t *testing.T) {
	r := newRig(t)
	d := r.parse("<domainsnapshot><name>nightly</name><description>by cron</description></domainsnapshot>")
	for _, c := range []struct{ asked, want string }{{"", "nightly"}, {"mine", "mine"}} {
		p, err := r.PlanCreate(t.Context(), orchestrator.CreateOptions{Domain: "web1", Descriptor: d, Name: c.asked})
		if err != nil || p.Name != c.want || p.Description != "by cron" {
			t.Errorf("asked for %q: %+v, %v", c.asked, p, err)
		}
	}
}

// What libvirt could not keep is not taken.
func TestCreateRefusesWhatCannotBeRecorded(t *testing.T) {
	r := newRig(t)
	opts := orchestrator.CreateOptions{Domain: "web1", Name: "long", Description: strings.Repeat("x", xmlspec.Room)}
	_, err := r.Create(t.Context(), opts)
	wantError(t, err, orchestrator.ErrRefused)
	opts.Description = strings.Repeat("x", xmlspec.Room/2)
	if _, err := r.Create(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	opts.Name = "second"
	_, err = r.Create(t.Context(), opts)
	wantError(t, err, orchestrator.ErrRefused)
	r.wantNames("long")
}
