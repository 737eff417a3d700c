package qemu

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// PlanDrop implements methods.Merger. Data stays where it is; but QEMU does not change an image that it only reads.
func (m *Internal) PlanDrop(ctx context.Context, req methods.DropRequest) (methods.DropPlan, error) {
	_, now, err := m.find(ctx, req.Ref)
	if err != nil {
		return methods.DropPlan{}, notThere(err)
	}
	if live(req) {
		return methods.DropPlan{}, m.hypervisor.CheckDropInternal(ctx, req.Disk.Domain.UUID, req.Disk.Target)
	}
	below, err := m.below(ctx, req)
	if err != nil {
		return methods.DropPlan{}, err
	}
	if below {
		return methods.DropPlan{NeededBy: []string{"the domain as long as it is on: it reads " + req.Ref.Origin}}, nil
	}
	return methods.DropPlan{}, m.images.unused(ctx, now.Image)
}

// live says that QEMU writes to the image.
func live(req methods.DropRequest) bool {
	return req.Disk.Domain.Active && req.Disk.Source.Path() == req.Ref.Origin
}

// below says that QEMU reads the image, under an overlay.
func (m *Internal) below(ctx context.Context, req methods.DropRequest) (bool, error) {
	if !req.Disk.Domain.Active || supported(req.Disk) != nil {
		return false, nil
	}
	chain, err := m.images.chain(ctx, Image{req.Disk.Source.Path(), req.Disk.Format})
	return contains(chain, req.Ref.Origin), err
}

// Drop implements methods.Method.
func (m *Internal) Drop(ctx context.Context, req methods.DropRequest) error {
	plan, err := m.PlanDrop(ctx, req)
	if err != nil {
		return err
	}
	if len(plan.NeededBy) > 0 {
		return &methods.Blocked{
			What: fmt.Sprintf("%s is needed by %s", req.Ref.Name, plan.NeededBy[0]), Hint: "shut the domain down first",
		}
	}
	if err := m.mend(ctx, req); err != nil {
		return err
	}
	found, _, err := m.find(ctx, req.Ref)
	switch {
	case err != nil:
		return notThere(err)
	case live(req):
		return m.hypervisor.DropInternal(ctx, req.Disk.Domain.UUID, InternalSnapshot{
			Target: req.Disk.Target, File: req.Ref.Origin, Name: found.Name, ID: found.ID,
		})
	default:
		return m.images.removeInside(ctx, req.Ref.Origin, found.Name)
	}
}

// mend puts right what a qemu-img that was killed has left. An image that somebody has open stays as it is: its content is
// right, too.
func (m *Internal) mend(ctx context.Context, req methods.DropRequest) error {
	if !req.Again && req.Stage != methods.Abandoned || live(req) {
		return nil
	}
	now, err := m.images.infoOf(ctx, Image{req.Ref.Origin, qcow2})
	if err != nil {
		return notThere(err)
	}
	below, err := m.below(ctx, req)
	if err != nil || below || m.images.unused(ctx, now.Image) != nil {
		return err
	}
	return m.images.repair(ctx, req.Ref.Origin)
}
