package qemu_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

// wantBlocked: the error says what to do.
func wantBlocked(t *testing.T, err error) {
	t.Helper()
	var blocked *methods.Blocked
	if !errors.As(err, &blocked) || blocked.Hint == "" || !strings.Contains(blocked.What, "ds-sin-vda") {
		t.Errorf("it ended with %v", err)
	}
}

func (r *rig) snapshotInside(path string) {
	r.t.Helper()
	r.img("snapshot", "-c", "ds-sin-vda", path)
}

func TestImageWithInternalSnapshotsIsNeitherReplacedNorRenamed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.take("sone")
	r.write(0, 'a')
	r.snapshotInside(r.hypervisor.active["vda"].Path)
	wantBlocked(t, r.CheckRevert(t.Context(), methods.RevertRequest{To: r.snapshot("sone"), Disk: r.disk("vda")}))
	_, err := r.PlanKeep(t.Context(), methods.PlanRequest{Disk: r.disk("vda"), ID: "skept"})
	wantBlocked(t, err)
}

func TestImageWithInternalSnapshotsIsNotCommittedAway(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(r *rig){
		"the only overlay": func(r *rig) {
			r.take("sone")
			r.snapshotInside(r.hypervisor.active["vda"].Path)
		},
		"an image without overlays": func(r *rig) {
			r.take("szero")
			r.write(0, 'a')
			r.take("sone")
			r.snapshotInside(r.snapshot("sone").Name)
			r.revert("szero", "")
		},
	} {
		r := newRig(t)
		set(r)
		req := r.dropRequest("sone")
		plan, err := r.PlanDrop(t.Context(), req)
		if err != nil || len(plan.NeededBy) != 1 || !strings.Contains(plan.NeededBy[0], "ds-sin-vda") {
			t.Errorf("%s: the plan is %+v, %v", name, plan, err)
		}
		wantBlocked(t, r.Drop(t.Context(), req))
		r.img("snapshot", "-d", "ds-sin-vda", strings.TrimSuffix(strings.Split(plan.NeededBy[0], " in ")[1], "\n"))
		r.drop("sone")
	}
}

// TestInternalSnapshotsBelowStay: what is merged into an image leaves the snapshots inside it alone.
func TestInternalSnapshotsBelowStay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write(0, 'a')
	base := r.hypervisor.active["vda"].Path
	r.snapshotInside(base)
	r.write(0, 'b')
	r.take("sone")
	r.write(0, 'c')
	r.snapshots[0].Mode = "external"
	inside := methods.Ref{Snapshot: "sin", Method: "qemu", Mode: "internal", Origin: base, Name: "ds-sin-vda", Disk: r.disk("vda")}
	req := r.dropRequest("sone")
	req.Others = append(req.Others, inside)
	if err := r.Drop(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	r.wantPresent("c...")
	r.img("snapshot", "-a", "ds-sin-vda", base)
	r.wantPresent("a...")
}
