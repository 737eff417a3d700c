package orchestrator_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/orchestrator"
)

func (r *rig) mirror(on bool) {
	r.t.Helper()
	if _, err := r.Mirror(r.t.Context(), "web1", on); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) wantShown(want ...string) {
	r.t.Helper()
	got, _ := r.domain.Shown(r.t.Context())
	slices.Sort(got)
	if diff := cmp.Diff(append([]string{}, want...), append([]string{}, got...)); diff != "" {
		r.t.Errorf("libvirt shows: %s", diff)
	}
}

func TestCheckFindsSnapshotsOfLibvirt(t *testing.T) {
	r := newRig(t)
	r.domain.edit(func(d *fakeDomain) { d.shown = []string{"by-hand"} })
	r.wantFound("foreign |  | libvirt has snapshots of its own")
	_, err := r.Mirror(t.Context(), "web1", true)
	wantError(t, err, orchestrator.ErrRefused)
	r.wantShown("by-hand")
}

func TestMirrorShowsWhatThereIs(t *testing.T) {
	r := twoSnapshots(t)
	r.wantShown()
	for range 2 {
		r.mirror(true)
		r.wantShown("one", "two")
	}
	r.take("three")
	r.wantShown("one", "three", "two")
	if _, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"}); err != nil {
		t.Fatal(err)
	}
	r.wantShown("three", "two")
	r.wantFound()
	for range 2 {
		r.mirror(false)
		r.wantShown()
	}
	r.take("four")
	r.wantShown()
	r.wantFound()
}

// Who deletes a snapshot by virsh deletes what virsh shows, and no more.
func TestCheckFindsWhatVirshHasDeleted(t *testing.T) {
	r := twoSnapshots(t)
	r.mirror(true)
	r.domain.edit(func(d *fakeDomain) { d.shown = []string{"one", "by-hand"} })
	r.wantFound("mirror | two | libvirt does not show two any more; the snapshot is there all the same",
		"foreign |  | libvirt has snapshots of its own")
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "by-hand"})
	wantError(t, err, orchestrator.ErrRefused)
	r.mirror(true)
	r.wantShown("by-hand", "one", "two")
}
