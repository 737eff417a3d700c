package lvm

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/domsnap/domsnap/methods"
)

// Probe implements methods.Prober: the blocks of a volume say nothing of the disk in an image on it, and those of a
// thin one are compared by a program that need not be there.
func (m *Method) Probe(ctx context.Context, ref methods.Ref) (methods.Verbs, error) {
	verbs := methods.VerbsOf(m)
	verbs.Changes = ref.Disk.Format == "raw" && (ref.Mode != modeThin || m.checkThinDelta(ctx) == nil)
	return verbs, ctx.Err()
}

// Changes implements methods.Differ. A thin volume's differing blocks are found by where they are in the pool, and a
// thick snapshot has a list of the chunks it keeps.
func (m *Method) Changes(ctx context.Context, req methods.ChangesRequest) ([]methods.Extent, error) {
	c, err := m.readComparison(req)
	if err != nil {
		return nil, err
	}
	list := m.thickChanges
	if c.from.thin {
		list = m.thinChanges
	}
	extents, err := list(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("list the changes since %s: %w", c.from.snapshot, err)
	}
	return extents, nil
}

// comparison is a request that was checked.
type comparison struct {
	from target
	// to is the other snapshot; nil for the present.
	to *target
	// size is that of the disk.
	size int64
}

func (m *Method) readComparison(req methods.ChangesRequest) (comparison, error) {
	from, err := comparable(req.From)
	if err != nil {
		return comparison{}, err
	}
	c := comparison{from: from, size: req.From.Size}
	if req.To == nil {
		return c, m.checkPresentDisk(c, req.Disk)
	}
	to, err := comparable(*req.To)
	if err != nil {
		return comparison{}, err
	}
	c.to = &to
	switch {
	case to.origin != from.origin || to.thin != from.thin:
		return c, methods.Unsupportedf("%s and %s are not snapshots of one volume", from.snapshot, to.snapshot)
	case req.To.Size != req.From.Size:
		return c, methods.Blockedf("snapshot %s is of %d bytes, %s of %d", from.snapshot, req.From.Size, to.snapshot, req.To.Size)
	}
	return c, nil
}

// comparable is a snapshot whose volume is the disk, byte for byte.
func comparable(ref methods.Ref) (target, error) {
	if ref.Disk.Format != "raw" {
		return target{}, methods.Unsupportedf("the blocks of a volume say nothing of the disk in the %q image on it", ref.Disk.Format)
	}
	return parseRef(ref)
}

// checkPresentDisk wants the disk to be the volume itself: of what lies on top of one nobody knows what it caches.
func (m *Method) checkPresentDisk(c comparison, disk methods.Disk) error {
	now, err := m.resolve(disk.Source.Path())
	if err != nil {
		return err
	}
	if now != c.from.origin || disk.Format != "raw" {
		return methods.Unsupportedf("disk %s is now %s (%s), the snapshot is of %s", disk.Target, disk.Source, disk.Format, c.from.origin)
	}
	return nil
}

// sides are the volumes of a comparison as they were at one moment.
type sides struct {
	group group
	// to is the origin where the other side is the present.
	from, to volume
}

// sides fails unless both can be compared.
func (m *Method) sides(ctx context.Context, c comparison) (s sides, err error) {
	if s.group, err = m.group(ctx, c.from.origin.group); err != nil {
		return s, err
	}
	if s.from, err = c.from.sound(s.group); err != nil {
		return s, err
	}
	if c.to != nil {
		s.to, err = c.to.sound(s.group)
		return s, err
	}
	s.to, err = c.present(s.group)
	return s, err
}

// present is the origin, which is not being replaced by a merge.
func (c comparison) present(g group) (volume, error) {
	v, ok := g.find(c.from.origin.volume)
	switch {
	case !ok:
		return v, fmt.Errorf("find origin %s: %w", c.from.origin, methods.ErrNotFound)
	case v.thin() != c.from.thin:
		return v, methods.Blockedf("%s is now a %s volume", c.from.origin, modeOf(v))
	case v.mergingOrigin() || bool(v.Merging):
		return v, methods.Blockedf("a snapshot is being merged into %s", c.from.origin)
	}
	return v, nil
}

// settle writes out what the host still keeps of a volume in its cache.
func (m *Method) settle(n name) error {
	f, err := openDevice(m.path(n), os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("flush %s: %w", n, err)
	}
	return errors.Join(f.Sync(), f.Close())
}
