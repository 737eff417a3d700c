package orchestrator

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// listChanges notes, before anything is reverted, where each disk will have to be compared afterwards: only the storage
// knows, and afterwards it knows no more.
func (r *reversion) listChanges(ctx context.Context) error {
	if !r.opts.Verify {
		return nil
	}
	for _, d := range r.disks {
		extents, err := methods.Changes(ctx, d.method, methods.ChangesRequest{From: d.req.To, Disk: d.req.Disk})
		switch {
		case errors.Is(err, methods.ErrUnsupported):
			extents = methods.Whole()
		case err != nil:
			return fmt.Errorf("list the changes of disk %s: %w", d.req.Disk.Target, err)
		}
		d.changed = extents
	}
	return nil
}

// verify compares each disk with its snapshot where it was not the same before the revert.
func (r *reversion) verify(ctx context.Context) error {
	if !r.opts.Verify {
		return nil
	}
	for _, d := range r.disks {
		name := "verify disk " + d.req.Disk.Target
		d.req.Progress = r.progress(name)
		if err := r.timed(ctx, name, d.verify); err != nil {
			return err
		}
	}
	return nil
}

func (d *revertingDisk) verify(ctx context.Context) error {
	read, err := methods.Verify(ctx, d.method, d.req, d.changed)
	if err != nil {
		return err
	}
	d.result.Verified = &read
	return nil
}
