package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

// PlanDrop implements methods.Merger. An image with one overlay takes that overlay's content in; with none it goes;
// with several it has to stay.
func (m *Method) PlanDrop(ctx context.Context, req methods.DropRequest) (methods.DropPlan, error) {
	f, err := m.family(ctx, req)
	if err != nil || f.untaken || f.gone {
		return methods.DropPlan{}, err
	}
	if len(f.children) > 1 || len(f.strangers) > 0 || len(f.held.names) > 0 {
		return methods.DropPlan{NeededBy: f.neededBy(req.Others)}, nil
	}
	if len(f.children) == 0 {
		return methods.DropPlan{}, nil
	}
	plan := methods.DropPlan{}
	child := f.children[0].Path
	if f.active.Path == child {
		plan.Active = f.image.Path
	}
	plan.Disturbs = f.readThrough(req.Others)
	for _, o := range req.Others {
		if o.Name == child {
			o.Name, o.Disk.Source, o.Disk.Format = f.image.Path, req.Ref.Disk.Source, f.image.Format
			plan.Renamed = append(plan.Renamed, o)
		}
	}
	return plan, m.checkMerge(ctx, req, f)
}

// checkMerge finds what stands in the way of a merge.
func (m *Method) checkMerge(ctx context.Context, req methods.DropRequest, f family) error {
	if f.merged {
		return nil
	}
	live := f.live(req)
	if err := m.checkRoom(ctx, f, live); err != nil || !live {
		return err
	}
	return m.hypervisor.CheckCommit(ctx, commitOf(req, f))
}

// Drop implements methods.Method.
func (m *Method) Drop(ctx context.Context, req methods.DropRequest) error {
	f, err := m.family(ctx, req)
	switch {
	case err != nil:
		return err
	case f.untaken:
		return m.dropUntaken(ctx, req)
	case f.gone:
		return nil
	case len(f.children) > 1 || len(f.strangers) > 0:
		return methods.Blockedf("%s is needed by %d overlays", f.image.Path, len(f.children)+len(f.strangers))
	case len(f.held.names) > 0:
		return f.held.blocked()
	case len(f.children) == 0:
		return m.removeOverlay(ctx, f.image, req.Ref.Disk.Target)
	default:
		return m.merge(ctx, req, f)
	}
}

// dropUntaken removes an overlay that was prepared. QEMU's own lock has the last word on whether it is in use: libvirt can
// have died before it noted down that the disk has moved.
func (m *Method) dropUntaken(ctx context.Context, req methods.DropRequest) error {
	overlay := req.Ref.Active
	if err := notMisplaced(req); err != nil {
		return err
	}
	if err := m.mayRemoveUntaken(ctx, req.Ref); err != nil {
		return err
	}
	begun, err := isBegun(overlay)
	if err == nil && begun && req.Disk.Domain.Active {
		err = m.images.unused(ctx, Image{overlay, qcow2})
	}
	if err != nil {
		return err
	}
	return errors.Join(remove(overlay), remove(mark(overlay)))
}

// isBegun says whether there is an image, or the beginning of one. A file that was reserved for one nobody can have open
// as one.
func isBegun(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	return image.IsQcow2(f)
}

// notMisplaced: a disk that is on the image of a snapshot that was taken has come there by a merge that was begun, or else
// somebody has defined it so, and the overlay may be its present.
func notMisplaced(req methods.DropRequest) error {
	if req.Stage != methods.Recorded {
		return nil
	}
	_, err := os.Lstat(req.Ref.Active)
	_, markErr := os.Lstat(mark(req.Ref.Active))
	if errors.Is(err, fs.ErrNotExist) || markErr == nil {
		return nil
	}
	return &methods.Blocked{
		What: fmt.Sprintf("the disk is on %s, the image of the snapshot, and not on %s", req.Ref.Name, req.Ref.Active),
		Hint: "see: domsnap check " + req.Disk.Domain.Name,
	}
}

// merge moves the only child's content into the image. The child's file goes last, when nothing names it any more.
func (m *Method) merge(ctx context.Context, req methods.DropRequest, f family) error {
	child := f.children[0]
	if err := setMark(child.Path); err != nil {
		return fmt.Errorf("mark %s: %w", child.Path, err)
	}
	commit := m.commitOff
	switch {
	case f.merged:
		commit = func(context.Context, methods.DropRequest, family) error { return nil }
	case f.live(req):
		commit = m.commitLive
	}
	if err := commit(ctx, req, f); err != nil {
		return err
	}
	for _, g := range f.grandchildren {
		if f.live(req) && f.leads(f.active.Path, g.Path) {
			continue // QEMU has changed this one's header itself
		}
		if err := m.images.rebase(ctx, g.Image, f.image); err != nil {
			return err
		}
	}
	// The mark goes last: without it an overlay that is left would look like one that is there to stay.
	if err := remove(child.Path); err != nil {
		return err
	}
	return remove(mark(child.Path))
}

// mark is the name of an empty file beside an overlay that is being merged into the image below it. After an
// interruption it tells that overlay from the others on the same image.
func mark(overlay string) string { return overlay + ".merging" }

func setMark(overlay string) error {
	f, err := os.OpenFile(mark(overlay), os.O_CREATE|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), syncDir(filepath.Dir(overlay)))
}

func (m *Method) commitLive(ctx context.Context, req methods.DropRequest, f family) error {
	return m.hypervisor.Commit(ctx, commitOf(req, f))
}

func commitOf(req methods.DropRequest, f family) Commit {
	return Commit{
		UUID: req.Disk.Domain.UUID, Target: req.Disk.Target,
		Top: f.children[0].Path, Base: f.image.Path, Progress: req.Progress,
	}
}

func (m *Method) commitOff(ctx context.Context, req methods.DropRequest, f family) error {
	child := f.children[0].Image
	if err := m.images.commit(ctx, merging{child, f.image, req.Progress}); err != nil {
		return err
	}
	if f.active.Path != child.Path {
		return nil
	}
	return m.hypervisor.SetSource(ctx, req.Disk.Domain.UUID, req.Disk.Target, f.image)
}

// related makes sure that the disk still runs on images of the snapshot. Of one that was given another image, or is not
// there any more, nobody can tell who needs the old ones.
func (m *Method) related(ctx context.Context, active, image Image) error {
	unknown := &methods.Blocked{
		What: fmt.Sprintf("the disk does not run on images of the snapshot, so who needs %s is not known", image.Path),
		Hint: "attach the disk again as it was, or forget the snapshot with --metadata",
	}
	if active.Path == "" {
		return unknown
	}
	present, err := m.images.chain(ctx, active)
	if err != nil {
		return err
	}
	chain, err := m.images.chain(ctx, image)
	if err != nil {
		return err
	}
	if present[len(present)-1].Path != chain[len(chain)-1].Path {
		return unknown
	}
	return nil
}

// remove unlinks durably. A file that is not there is fine.
func remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
