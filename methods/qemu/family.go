package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/domsnap/domsnap/methods"
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

// readThrough are the snapshots whose images are built on this one, directly or not.
func (f family) readThrough(others []methods.Ref) []string {
	var ids []string
	for _, o := range withImages(others) {
		if f.leads(o.Name, f.image.Path) {
			ids = append(ids, o.Snapshot)
		}
	}
	return ids
}

// live says that QEMU has the only child open, so that merging it is QEMU's work.
func (f family) live(req methods.DropRequest) bool {
	return req.Disk.Domain.Active && f.leads(f.active.Path, f.children[0].Path)
}

// leads says whether an image is the one that is looked for, or built on it, directly or not.
func (f family) leads(top, to string) bool {
	for range len(f.known) + 1 {
		if top == to {
			return true
		}
		top = backingOf(f.known, top)
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
