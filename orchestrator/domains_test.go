package orchestrator_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/orchestrator"
)

func TestDomainsAreListedWithTheirDisks(t *testing.T) {
	r := newRig(t)
	got, err := r.Domains(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []orchestrator.DomainReport{{
		Domain: "web1", DomainUUID: r.domain.uuid, State: orchestrator.Running, Disks: []string{"vda", "vdb"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDomainThatCannotBeReadIsListed(t *testing.T) {
	r := newRig(t)
	r.domain.firmware = "<os><"
	got, err := r.Domains(t.Context())
	if err != nil || len(got) != 1 || got[0].Domain != r.domain.uuid || got[0].Problem == "" {
		t.Errorf("listed are %+v, %v", got, err)
	}
	r.domain.firmware = ""
}

func TestTargets(t *testing.T) {
	r := newRig(t)
	got, err := r.Targets(t.Context(), "web1")
	if diff := cmp.Diff([]string{"vda", "vdb"}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	_, err = r.Targets(t.Context(), "none")
	wantError(t, err, orchestrator.ErrNotFound)
}
