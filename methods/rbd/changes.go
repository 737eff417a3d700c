package rbd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/domsnap/domsnap/methods"
)

// findings are what the object maps say about a snapshot and the present.
type findings struct {
	// then and now are the whole objects that the snapshot and the present have.
	then, now []extent
	// suspects are those of the snapshot's that may have changed since, joined.
	suspects []extent
}

// fresh are the objects that the snapshot does not have.
func (f findings) fresh() []extent { return without(f.now, f.then) }

// look asks the object maps. It fails with ErrUnsupported where there are none, or where the content at the snapshot is
// not all in the image's own objects.
func look(image reader, p place) (f findings, err error) {
	if err := image.plain(p.snap); err != nil {
		return f, err
	}
	then, err := image.changed("", p.snap)
	if err != nil {
		return f, err
	}
	now, err := image.changed("", "")
	if err != nil {
		return f, err
	}
	f.then, f.now = existing(then), existing(now)
	f.suspects, err = suspects(image, p, join(f.then))
	return f, err
}

// suspects are the parts of all that fast-diff cannot clear.
func suspects(image reader, p place, all []extent) ([]extent, error) {
	now, err := image.describe()
	if err != nil {
		return nil, err
	}
	first, known, err := eldest(image, p, now)
	if err != nil || !known {
		return all, err
	}
	since, err := image.changed(p.snap, "")
	if err != nil {
		return nil, err
	}
	left := without(all, join(since))
	if first != "" {
		before, err := image.changed(first, p.snap)
		if err != nil {
			return nil, err
		}
		left = without(left, join(before))
	}
	return without(all, left), nil
}

// Changes implements methods.Differ. It asks the objects themselves: those that may differ, as far as the object maps
// can tell, else all.
func (m *Method) Changes(ctx context.Context, req methods.ChangesRequest) ([]methods.Extent, error) {
	p, err := recorded(req.From)
	if err != nil {
		return nil, err
	}
	to, err := m.other(p, req)
	if err != nil {
		return nil, err
	}
	changed, err := inspect(ctx, m, p, func(image reader) ([]extent, error) { return changes(image, p, to) })
	if err != nil {
		return nil, fmt.Errorf("list changes since %s: %w", p, err)
	}
	return public(changed), nil
}

// other is the snapshot on the other side, empty for the present.
func (m *Method) other(p place, req methods.ChangesRequest) (string, error) {
	if req.To == nil {
		_, err := m.target(methods.RevertRequest{To: req.From, Disk: req.Disk})
		return "", err
	}
	to, err := recorded(*req.To)
	if err == nil && to.RBDImage.String() != p.RBDImage.String() {
		err = methods.Unsupportedf("%s and %s are of two images", p, to)
	}
	return to.snap, err
}

func changes(image reader, p place, to string) ([]extent, error) {
	now, at, err := present(image, p)
	if err != nil {
		return nil, err
	}
	size, whole := now.snaps[at].size, extent{length: now.snaps[at].size}
	if to == "" {
		if now.size != size {
			return nil, methods.Blockedf("image %s has %d bytes, its snapshot %s has %d", p.RBDImage, now.size, p.snap, size)
		}
		return sincePresent(image, p, whole)
	}
	end := now.find(to)
	switch {
	case end < 0:
		return nil, fmt.Errorf("find snapshot %s: %w", to, methods.ErrNotFound)
	case now.snaps[end].size != size:
		return nil, methods.Blockedf("snapshots %s and %s of image %s differ in size", p.snap, to, p.RBDImage)
	case end < at:
		return image.changedWithin(to, p.snap, whole)
	}
	return image.changedWithin(p.snap, to, whole)
}

func sincePresent(image reader, p place, whole extent) ([]extent, error) {
	found, err := look(image, p)
	if errors.Is(err, methods.ErrUnsupported) {
		return image.changedWithin(p.snap, "", whole)
	}
	if err != nil {
		return nil, err
	}
	changed := found.fresh()
	for part := range pieces(found.suspects, partSize) {
		some, err := image.changedWithin(p.snap, "", part)
		if err != nil {
			return nil, err
		}
		changed = append(changed, some...)
	}
	slices.SortFunc(changed, func(a, b extent) int { return int(a.offset - b.offset) })
	return changed, nil
}

// public joins extents and puts them in the contract's words.
func public(extents []extent) []methods.Extent {
	found := []methods.Extent{}
	for _, e := range join(extents) {
		found = append(found, methods.Extent{Offset: e.offset, Length: e.length})
	}
	return found
}
