package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/domsnap/domsnap/methods"
)

// CheckRevert implements methods.Reverter.
func (m *Method) CheckRevert(ctx context.Context, req methods.RevertRequest) error {
	if req.Disk.Domain.Active {
		return methods.Blockedf("the domain runs")
	}
	if err := recorded(req.To); err != nil {
		return err
	}
	present := Image{req.Disk.Source.Path(), req.Disk.Format}
	if present.Path == req.To.Name {
		return untaken(req.To)
	}
	if present.Format != qcow2 {
		return methods.Blockedf("disk %s writes to %s, not to an overlay of the snapshot", req.Disk.Target, present.Path)
	}
	if _, err := os.Stat(req.To.Name); err != nil {
		return fmt.Errorf("find image %s: %w", req.To.Name, notFound(err))
	}
	now, err := m.images.info(ctx, present)
	if err != nil {
		return err
	}
	if err := now.holdsNone(); err != nil {
		return err
	}
	if err := m.related(ctx, present, Image{req.To.Name, req.To.Disk.Format}); err != nil {
		return err
	}
	if now.Size != req.To.Size {
		return &methods.Blocked{
			What: fmt.Sprintf("disk %s has %d bytes now and had %d in the snapshot", req.Disk.Target, now.Size, req.To.Size),
			Hint: "give the disk its old size back first",
		}
	}
	return nil
}

// PlanKeep implements methods.Keeper: the present image is renamed, so its new name is the snapshot's.
func (m *Method) PlanKeep(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	now, err := m.images.info(ctx, Image{req.Disk.Source.Path(), req.Disk.Format})
	if err == nil {
		err = now.holdsNone()
	}
	if err != nil {
		return methods.Ref{}, err
	}
	aside, err := beside(req.Disk, req.ID)
	if err != nil {
		return methods.Ref{}, err
	}
	ref, err := m.plan(ctx, req, aside)
	if err != nil {
		return methods.Ref{}, err
	}
	ref.Active, ref.Name = ref.Name, aside
	ref.Disk.Source.File, ref.Disk.Source.Dev = aside, ""
	return ref, nil
}

// Revert implements methods.Reverter: an empty overlay of the snapshot's image takes the place of the present image.
// Until the last rename the present image is what the domain starts from, and after it the new one; there is no moment
// without.
func (m *Method) Revert(ctx context.Context, req methods.RevertRequest) (methods.Reverted, error) {
	if err := recordedAll(req.To, req.Keep); err != nil {
		return methods.Reverted{}, err
	}
	present := req.Disk.Source.Path()
	fresh := present + ".new"
	if err := remove(fresh); err != nil {
		return methods.Reverted{}, fmt.Errorf("remove leftover %s: %w", fresh, err)
	}
	if err := m.images.create(ctx, fresh, Image{req.To.Name, req.To.Disk.Format}, present); err != nil {
		return methods.Reverted{}, err
	}
	if err := keep(present, req.Keep); err != nil {
		return methods.Reverted{}, err
	}
	if err := os.Rename(fresh, present); err != nil {
		return methods.Reverted{}, fmt.Errorf("put %s in place: %w", present, err)
	}
	return methods.Reverted{How: methods.HowNative}, syncDir(filepath.Dir(present))
}

// keep gives the present image a second name. One that is there already is from an attempt before: it holds what is
// to be kept, the file in place may not.
func keep(present string, as *methods.Ref) error {
	if as == nil {
		return nil
	}
	if err := os.Link(present, as.Name); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keep %s as %s: %w", present, as.Name, err)
	}
	return syncDir(filepath.Dir(as.Name))
}

func recordedAll(to methods.Ref, keep *methods.Ref) error {
	if err := recorded(to); err != nil || keep == nil {
		return err
	}
	return recorded(*keep)
}
