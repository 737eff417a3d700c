package qemu

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// CheckRevert implements methods.Reverter. A disk that runs on another file than the one that holds the snapshot, as an
// overlay of it, has to be written.
func (m *Internal) CheckRevert(ctx context.Context, req methods.RevertRequest) error {
	if err := m.checkSame(ctx, req); err != nil {
		return err
	}
	return m.images.unused(ctx, Image{req.To.Origin, qcow2})
}

// checkSame finds every reason against a revert but that somebody has the image open.
func (m *Internal) checkSame(ctx context.Context, req methods.RevertRequest) error {
	if req.Disk.Domain.Active {
		return &methods.Blocked{What: "the domain is active", Hint: "shut it down first"}
	}
	_, now, err := m.find(ctx, req.To)
	if err != nil {
		return err
	}
	if req.Disk.Source.Path() != req.To.Origin {
		return methods.Unsupportedf("disk %s writes to %s, and its snapshot is inside %s", req.Disk.Target, req.Disk.Source, req.To.Origin)
	}
	if req.Disk.Format != qcow2 {
		return methods.Blockedf("disk %s has format %q by now, and was qcow2", req.Disk.Target, req.Disk.Format)
	}
	if now.Size != req.To.Size {
		return &methods.Blocked{
			What: fmt.Sprintf("disk %s has %d bytes now and had %d in the snapshot", req.Disk.Target, now.Size, req.To.Size),
			Hint: "give the disk its old size back first",
		}
	}
	return nil
}

// Revert implements methods.Reverter. Interrupted, the image holds either all of the present or all of the snapshot.
func (m *Internal) Revert(ctx context.Context, req methods.RevertRequest) (methods.Reverted, error) {
	if err := recordedInside(req.To); err != nil {
		return methods.Reverted{}, err
	}
	if req.Again {
		if err := m.images.repair(ctx, req.To.Origin); err != nil {
			return methods.Reverted{}, err
		}
	}
	if err := m.checkSame(ctx, req); err != nil {
		return methods.Reverted{}, err
	}
	// qemu-img locks the image before it changes anything.
	if err := m.images.applyInside(ctx, req.To.Origin, req.To.Name); err != nil {
		if ctx.Err() == nil {
			err = errors.Join(err, m.images.unused(ctx, Image{req.To.Origin, qcow2}))
		}
		return methods.Reverted{}, err
	}
	return methods.Reverted{How: methods.HowNative}, nil
}
