package lvm

import (
	"cmp"
	"context"
	"slices"

	"github.com/domsnap/domsnap/methods"
)

// thickChanges lists the chunks that the snapshots keep. Outside of them a snapshot is read from the origin, so there
// it holds what the origin and every other snapshot that does not keep them hold.
func (m *Method) thickChanges(ctx context.Context, c comparison) ([]methods.Extent, error) {
	s, err := m.sides(ctx, c)
	if err != nil {
		return nil, err
	}
	origin, err := c.thickOrigin(s.group)
	if err != nil {
		return nil, err
	}
	kept := []name{c.from.snapshot}
	if c.to != nil {
		kept = append(kept, c.to.snapshot)
	} else if err := m.settle(c.from.origin); err != nil {
		return nil, err
	}
	var all []methods.Extent
	for _, n := range kept {
		e, err := m.exceptions(ctx, n, origin)
		if err != nil {
			return nil, err
		}
		all = append(all, e.extents(c.size)...)
	}
	return united(all), nil
}

// thickOrigin is the volume that all is read from: only while it is active can the kernel's lists be read.
func (c comparison) thickOrigin(g group) (volume, error) {
	v, err := c.present(g)
	switch {
	case err != nil:
		return v, err
	case int64(v.Size) != c.size:
		return v, methods.Blockedf("%s has %d bytes, the snapshot is of %d", c.from.origin, v.Size, c.size)
	case !bool(v.Active):
		return v, methods.Unsupportedf("%s is not active", c.from.origin)
	}
	return v, nil
}

// extents are the chunks as pieces of a disk of the size.
func (e exceptions) extents(size int64) []methods.Extent {
	found := []methods.Extent{}
	for _, n := range e.old {
		found = extended(found, n*e.chunk, min((n+1)*e.chunk, size))
	}
	return found
}

// united makes one list, ascending and apart, of several.
func united(extents []methods.Extent) []methods.Extent {
	slices.SortFunc(extents, func(a, b methods.Extent) int { return cmp.Compare(a.Offset, b.Offset) })
	found := []methods.Extent{}
	for _, e := range extents {
		found = extended(found, e.Offset, e.End())
	}
	return found
}

// extended adds a piece that begins behind the beginning of all others.
func extended(extents []methods.Extent, start, end int64) []methods.Extent {
	if end <= start {
		return extents
	}
	if n := len(extents); n > 0 && extents[n-1].End() >= start {
		extents[n-1].Length = max(extents[n-1].End(), end) - extents[n-1].Offset
		return extents
	}
	return append(extents, methods.Extent{Offset: start, Length: end - start})
}
