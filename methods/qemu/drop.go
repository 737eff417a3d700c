package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

// family is who has the image of a snapshot as backing file.
type family struct {
	// image is the snapshot's own; gone says that the file is not there.
	image Image
	gone  bool
	// untaken says that the disk still writes to the image: there is no snapshot, at most an overlay that was
	// prepared.
	untaken bool
	// children are built directly on the image, grandchildren on the first child.
	children, grandchildren []layer
	// known are all images of the disk, but for this one and those below it.
	known []layer
	// active is the disk's present image.
	active Image
	// merged says that the child's content is in the image already: an attempt before got that far.
	merged bool
	// strangers are overlays on the image that this disk wrote to once and that nothing on record needs now. A disk
	// that was replaced, or detached, leaves one; to merge or break it is not ours.
	strangers []string
	// held are the internal snapshots of the file that the drop would take away.
	held holding
}

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
	return plan, nil
}

// readThrough are the snapshots whose images are built on this one, directly or not.
func (f family) readThrough(others []methods.Ref) []string {
	var ids []string
	for _, o := range withImages(others) {
		if f.below(o.Name) {
			ids = append(ids, o.Snapshot)
		}
	}
	return ids
}

// below says whether the image is somewhere below another one.
func (f family) below(top string) bool {
	for range f.known {
		if top = backingOf(f.known, top); top == f.image.Path {
			return true
		}
	}
	return false
}

// backingOf is empty for an image that is not known, or has none.
func backingOf(known []layer, path string) string {
	for _, l := range known {
		if l.Path == path {
			return l.Backing.Path
		}
	}
	return ""
}

func (f family) neededBy(others []methods.Ref) []string {
	var by []string
	for _, name := range f.held.names {
		by = append(by, fmt.Sprintf("the internal snapshot %s in %s", name, f.held.path))
	}
	if len(f.children) < 2 && len(f.strangers) == 0 {
		return by
	}
	for _, c := range f.children {
		who := "the disk's present image"
		for _, o := range others {
			if o.Name == c.Path {
				who = "snapshot " + o.Snapshot
			}
		}
		by = append(by, fmt.Sprintf("%s (%s)", who, c.Path))
	}
	for _, path := range f.strangers {
		by = append(by, fmt.Sprintf("an overlay that the disk does not use any more (%s)", path))
	}
	return by
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
	chain, err := m.images.chain(ctx, f.active)
	if err != nil {
		return err
	}
	live := req.Disk.Domain.Active && contains(chain, child.Path)
	commit := m.commitOff
	switch {
	case f.merged:
		commit = func(context.Context, methods.DropRequest, family) error { return nil }
	case live:
		commit = m.commitLive
	}
	if err := commit(ctx, req, f); err != nil {
		return err
	}
	for _, g := range f.grandchildren {
		if live && contains(chain, g.Path) {
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
	return m.hypervisor.Commit(ctx, Commit{
		UUID: req.Disk.Domain.UUID, Target: req.Disk.Target,
		Top: f.children[0].Path, Base: f.image.Path, Progress: req.Progress,
	})
}

func (m *Method) commitOff(ctx context.Context, req methods.DropRequest, f family) error {
	child := f.children[0].Image
	if err := m.images.commit(ctx, child, f.image); err != nil {
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

func (m *Method) family(ctx context.Context, req methods.DropRequest) (family, error) {
	if err := recorded(req.Ref); err != nil {
		return family{}, err
	}
	f := family{
		image:  Image{req.Ref.Name, req.Ref.Disk.Format},
		active: Image{req.Disk.Source.Path(), req.Disk.Format},
	}
	f.untaken = f.active.Path == f.image.Path
	if _, err := os.Stat(f.image.Path); err != nil {
		f.gone = errors.Is(err, fs.ErrNotExist)
		return f, notGone(err)
	}
	if f.untaken {
		return f, nil
	}
	if err := m.related(ctx, f.active, f.image); err != nil {
		return f, err
	}
	var err error
	if f.known, err = m.known(ctx, req, f); err != nil {
		return f, err
	}
	f.children = builtOn(f.known, f.image.Path)
	f.resume()
	if f.strangers, err = m.strangers(ctx, req, f.known); err != nil {
		return f, err
	}
	if len(f.children) == 1 {
		f.grandchildren = builtOn(f.known, f.children[0].Path)
	}
	f.held, err = m.findHeld(ctx, f)
	return f, err
}

// resume finds the merge that an attempt before has begun. A merge begins with a single overlay, so where there are
// more now they were put onto the image after its content was complete.
func (f *family) resume() {
	for _, c := range f.children {
		if _, err := os.Lstat(mark(c.Path)); err == nil {
			f.merged = len(f.children) > 1
			f.children = []layer{c}
			return
		}
	}
}

// findHeld looks into the file that the drop would take away: the only overlay, or else the image.
func (m *Method) findHeld(ctx context.Context, f family) (holding, error) {
	switch len(f.children) {
	case 0:
		going, err := m.images.info(ctx, f.image)
		return going.held(), err
	case 1:
		return f.children[0].held(), nil
	default:
		return holding{}, nil
	}
}

func notGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// known are all images of the disk: those of its snapshots, the present one, and what lies below them.
func (m *Method) known(ctx context.Context, req methods.DropRequest, f family) ([]layer, error) {
	tops := []Image{f.active}
	for _, o := range withImages(req.Others) {
		tops = append(tops, Image{o.Name, o.Disk.Format})
	}
	seen := map[string]bool{f.image.Path: true}
	var known []layer
	for _, img := range tops {
		for img.Path != "" && !seen[img.Path] {
			l, err := m.images.info(ctx, img)
			if err != nil {
				return nil, err
			}
			seen[img.Path] = true
			known = append(known, l)
			img = l.Backing
		}
	}
	return known, nil
}

// strangers looks for overlays that snapshots were taken onto and that are in no chain that is known.
func (m *Method) strangers(ctx context.Context, req methods.DropRequest, known []layer) ([]string, error) {
	var found []string
	for _, r := range append([]methods.Ref{req.Ref}, withImages(req.Others)...) {
		if _, err := os.Stat(r.Active); err != nil || r.Active == req.Ref.Name || contains(known, r.Active) {
			continue
		}
		l, err := m.images.info(ctx, Image{r.Active, qcow2})
		if err != nil {
			return nil, err
		}
		if l.Backing.Path == req.Ref.Name {
			found = append(found, r.Active)
		}
	}
	return found, nil
}

func contains(images []layer, path string) bool {
	return slices.ContainsFunc(images, func(l layer) bool { return l.Path == path })
}

func builtOn(images []layer, path string) []layer {
	var on []layer
	for _, l := range images {
		if l.Backing.Path == path {
			on = append(on, l)
		}
	}
	return on
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
