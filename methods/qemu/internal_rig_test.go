package qemu_test

import (
	"context"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/qemu"
)

// insideRig is a rig whose snapshots are inside the image.
type insideRig struct {
	*rig
	inside  *qemu.Internal
	monitor *fakeMonitor
}

func newInsideRig(t *testing.T, image string) *insideRig {
	t.Helper()
	r := &insideRig{rig: newRigAt(t, image), monitor: &fakeMonitor{}}
	r.inside = qemu.NewInternal(r.monitor, command.Host{})
	return r
}

// fakeMonitor does to images what QEMU would.
type fakeMonitor struct {
	// busy is what is in the way of a drop.
	busy  error
	fails error
	asked []qemu.InternalSnapshot
}

func (m *fakeMonitor) ReadyInternal(_ context.Context, _ string, snapshots []qemu.InternalSnapshot) (qemu.Switch, error) {
	return &fakeTransaction{m, snapshots}, nil
}

func (m *fakeMonitor) CheckDropInternal(context.Context, string, string) error { return m.busy }

func (m *fakeMonitor) DropInternal(ctx context.Context, _ string, s qemu.InternalSnapshot) error {
	m.asked = append(m.asked, s)
	return img(ctx, "snapshot", "-d", s.Name, s.File)
}

type fakeTransaction struct {
	*fakeMonitor
	snapshots []qemu.InternalSnapshot
}

func (t *fakeTransaction) Do(ctx context.Context) error {
	t.asked = append(t.asked, t.snapshots...)
	if t.fails != nil {
		return t.fails
	}
	for _, s := range t.snapshots {
		if err := img(ctx, "snapshot", "-c", s.Name, s.File); err != nil {
			return err
		}
	}
	return nil
}

func (*fakeTransaction) Close() error { return nil }

func (r *insideRig) planInside(target, id string) methods.Ref {
	r.t.Helper()
	ref, err := r.inside.Plan(r.t.Context(), methods.PlanRequest{Disk: r.disk(target), ID: id})
	if err != nil {
		r.t.Fatal(err)
	}
	return ref
}

func (r *insideRig) takeInside(id string) methods.Ref {
	r.t.Helper()
	ref := r.planInside("vda", id)
	if err := r.inside.Take(r.t.Context(), ref); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.inside.Stat(r.t.Context(), ref); err != nil {
		r.t.Errorf("stat after the take: %v", err)
	}
	return ref
}

func (r *insideRig) dropInside(ref methods.Ref) {
	r.t.Helper()
	req := methods.DropRequest{Ref: ref, Disk: r.disk(ref.Disk.Target)}
	if plan, err := r.inside.PlanDrop(r.t.Context(), req); err != nil || len(plan.NeededBy) > 0 {
		r.t.Fatalf("plan the drop of %s: %+v, %v", ref.Name, plan, err)
	}
	if err := r.inside.Drop(r.t.Context(), req); err != nil {
		r.t.Fatal(err)
	}
}

func (r *insideRig) revertInside(req methods.RevertRequest) {
	r.t.Helper()
	if err := r.inside.CheckRevert(r.t.Context(), req); err != nil {
		r.t.Fatal(err)
	}
	done, err := r.inside.Revert(r.t.Context(), req)
	if err != nil || done.How != methods.HowNative || done.BytesWritten != 0 {
		r.t.Fatalf("%+v, %v", done, err)
	}
}

func (r *insideRig) wantInside(want ...string) {
	r.t.Helper()
	got, err := r.inside.List(r.t.Context(), r.disk("vda"))
	if err != nil || !slices.Equal(got, want) {
		r.t.Errorf("the image holds %v, %v, want %v", got, err, want)
	}
}

var _ qemu.InternalHypervisor = (*fakeMonitor)(nil)
