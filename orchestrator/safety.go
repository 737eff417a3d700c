package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/xmlspec"
)

func (r *reversion) planSafety(ctx context.Context) error {
	if r.opts.NoSafety {
		return nil
	}
	r.safety = newID()
	for _, d := range r.disks {
		req := methods.PlanRequest{Disk: d.req.Disk, ID: r.safety, Like: &d.req.To}
		ref, moving, err := methods.PlanSafety(ctx, d.method, d.req.How, req)
		if err != nil {
			return refuse("do what the message asks for, or use --no-safety", "keep the present of disk %s: %w", d.req.Disk.Target, err)
		}
		d.keep, d.moving = &ref, moving
		if moving {
			d.req.Keep = &ref
		}
	}
	return nil
}

// takeSafety takes the present of the disks whose revert does not keep it by itself.
func (r *reversion) takeSafety(ctx context.Context) error {
	if err := r.keepPresentMachine(ctx); err != nil {
		return err
	}
	for _, d := range r.disks {
		if d.keep == nil || d.moving {
			continue
		}
		err := r.runner.run(ctx, step{
			name: "keep the present of " + d.req.Disk.Target,
			do:   d.takeKeep,
			undo: func(ctx context.Context) error { return r.dropKept(ctx, d) },
		})
		if err != nil {
			return err
		}
	}
	return r.follow(ctx)
}

// takeKeep takes the present, and asks the storage for it: what comes next destroys it.
func (d *revertingDisk) takeKeep(ctx context.Context) error {
	if err := d.method.Take(ctx, *d.keep); err != nil {
		return err
	}
	_, err := d.method.Stat(ctx, *d.keep)
	return err
}

// follow finds the disks that their safety snapshot has put onto another source: that is what is reverted.
func (r *reversion) follow(ctx context.Context) error {
	moved := slices.ContainsFunc(r.disks, (*revertingDisk).moved)
	if !moved {
		return nil
	}
	if err := r.refresh(ctx); err != nil {
		return err
	}
	for _, d := range r.disks {
		if !d.moved() {
			continue
		}
		disk, err := r.present(ctx, d.req.Disk.Target)
		if err != nil {
			return err
		}
		d.req.Disk = disk
	}
	return nil
}

func (d *revertingDisk) moved() bool {
	return d.keep != nil && !d.moving && d.method.Traits().MovesSource
}

// dropKept takes back what was made of the present. The disk may have moved by then.
func (r *reversion) dropKept(ctx context.Context, d *revertingDisk) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	disk, err := r.present(ctx, d.req.Disk.Target)
	if err != nil {
		return err
	}
	return d.method.Drop(ctx, methods.DropRequest{Ref: *d.keep, Disk: disk, Others: r.others(*d.keep), Stage: methods.Abandoned})
}

// completeSafety takes what is missing of the safety snapshot. A part that is there was taken before the disk was
// touched.
func (r *reversion) completeSafety(ctx context.Context) error {
	if err := r.keepPresentMachine(ctx); err != nil {
		return err
	}
	for _, d := range r.disks {
		if d.keep == nil || d.moving {
			continue
		}
		_, err := d.method.Stat(ctx, *d.keep)
		if errors.Is(err, methods.ErrNotFound) {
			// What was prepared and not taken stands in the way of another attempt.
			err = r.dropKept(ctx, d)
			if err == nil {
				err = d.takeKeep(ctx)
			}
		}
		if err != nil {
			return fmt.Errorf("keep the present of disk %s: %w", d.req.Disk.Target, err)
		}
	}
	return r.follow(ctx)
}

func (r *reversion) safetyRecord() (xmlspec.LineageSnapshot, error) {
	parts, err := r.keptParts(r.safety)
	s := xmlspec.LineageSnapshot{
		ID: r.safety, Name: "safety-" + r.safety, Parent: r.lineage.Current, Created: r.begun.Unix(),
		Description: fmt.Sprintf("before the revert to %s", r.to.Name), Safety: true, Level: "offline",
		Machine: parts,
	}
	for _, d := range r.disks {
		s.Disks = append(s.Disks, toRecord(*d.keep))
	}
	return s, err
}
