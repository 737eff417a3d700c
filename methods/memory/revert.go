package memory

import (
	"context"

	"github.com/domsnap/domsnap/methods"
)

// CheckRevert implements methods.Reverter.
func (m *Method) CheckRevert(ctx context.Context, req methods.RevertRequest) error {
	if err := m.store.reach(ctx, AtCheckRevert, req.Disk.Target); err != nil {
		return err
	}
	if req.Disk.Domain.Active {
		return methods.Blockedf("the domain runs")
	}
	if _, err := m.store.stat(req.To.Name); err != nil {
		return err
	}
	size, ok := m.store.size(req.Disk.Source.File)
	if !ok {
		return methods.Blockedf("disk %s: there is no %s", req.Disk.Target, req.Disk.Source)
	}
	if size != req.To.Size {
		return methods.Blockedf("disk %s has %d bytes now and had %d in the snapshot", req.Disk.Target, size, req.To.Size)
	}
	return nil
}

// Revert implements methods.Reverter. It copies in two halves, so that there is a middle to be interrupted in.
func (m *Method) Revert(ctx context.Context, req methods.RevertRequest) (methods.Reverted, error) {
	target, source, size := req.Disk.Target, req.Disk.Source.File, int(req.To.Size)
	if err := m.CheckRevert(ctx, req); err != nil {
		return methods.Reverted{}, err
	}
	if err := m.store.reach(ctx, AtRevert, target); err != nil {
		return methods.Reverted{}, err
	}
	if req.Keep != nil {
		m.store.keep(*req.Keep)
	}
	m.store.restore(source, req.To.Name, 0, size/2)
	req.Progress.Report(int64(size/2), int64(size))
	if err := m.store.reach(ctx, MidRevert, target); err != nil {
		return methods.Reverted{}, err
	}
	m.store.restore(source, req.To.Name, size/2, size)
	req.Progress.Report(int64(size), int64(size))
	return methods.Reverted{How: methods.HowNative, BytesWritten: int64(size)}, m.store.reach(ctx, AfterRevert, target)
}

// Keeping is a Method whose revert keeps the present by itself.
type Keeping struct{ *Method }

// PlanKeep implements methods.Keeper.
func (k Keeping) PlanKeep(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	return k.Plan(ctx, req)
}

var _ methods.Keeper = Keeping{}

// Verbs implements methods.Declarer.
func (k Keeping) Verbs() methods.Verbs {
	v := k.Method.Verbs()
	v.Keep = true
	return v
}
