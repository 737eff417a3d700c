package lvm

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/domsnap/domsnap/methods"
)

const thinDelta = "thin_delta"

// thinChanges compares where in the pool the blocks of both sides are. Blocks at one place are one block: the pool
// writes a block that is shared to another place.
func (m *Method) thinChanges(ctx context.Context, c comparison) ([]methods.Extent, error) {
	if err := m.checkThinDelta(ctx); err != nil {
		return nil, err
	}
	before, err := m.thinSides(ctx, c)
	if err != nil {
		return nil, err
	}
	if c.to == nil && bool(before.to.Active) {
		if err := m.settle(c.from.origin); err != nil {
			return nil, err
		}
	}
	var text []byte
	err = m.withMetadataSnap(ctx, c.from.origin.sibling(before.from.Pool), func() error {
		text, err = m.thinDelta(ctx, c, before)
		return err
	})
	if err != nil {
		return nil, err
	}
	return before.delta(c.size).read(bytes.NewReader(text))
}

// thinSides fails unless both volumes have the disk's size and are in one pool.
func (m *Method) thinSides(ctx context.Context, c comparison) (sides, error) {
	s, err := m.sides(ctx, c)
	if err != nil {
		return s, err
	}
	for _, v := range []volume{s.from, s.to} {
		if int64(v.Size) != c.size {
			return s, methods.Blockedf("%s has %d bytes, the snapshot is of %d", c.from.origin.sibling(v.Name), v.Size, c.size)
		}
	}
	if s.from.Pool != s.to.Pool {
		return s, methods.Unsupportedf("%s is in pool %s, %s in %s", s.from.Name, s.from.Pool, s.to.Name, s.to.Pool)
	}
	return s, nil
}

// thinDelta runs the program on the metadata snapshot. The volumes' numbers in it are those that were found before if
// they are the same still: a number goes to another volume only when its own is gone.
func (m *Method) thinDelta(ctx context.Context, c comparison, before sides) ([]byte, error) {
	now, err := m.thinSides(ctx, c)
	if err != nil {
		return nil, err
	}
	if !now.from.same(before.from) || !now.to.same(before.to) {
		return nil, methods.Unsupportedf("somebody has replaced a volume meanwhile")
	}
	pool := c.from.origin.sibling(before.from.Pool)
	out, err := m.ask(ctx, thinDelta, "--metadata-snap", "--thin1", before.from.thinID(), "--thin2", before.to.thinID(), m.metadata(pool))
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("compare %s with %s: %w: %w", before.from.Name, before.to.Name, err, methods.ErrUnsupported)
	}
	return out, err
}

func (v volume) thinID() string { return strconv.FormatInt(int64(v.ThinID), 10) }

func (v volume) same(other volume) bool { return v.UUID == other.UUID && v.ThinID == other.ThinID }

func (s sides) delta(size int64) delta {
	return delta{left: s.from.thinID(), right: s.to.thinID(), size: size, most: mostExtents}
}

var versionPattern = regexp.MustCompile(`(\d{1,4})\.(\d{1,4})\.(\d{1,4})\s*$`)

// checkThinDelta wants the program, in a version that misses nothing: those before 0.7 have errors at the ends of
// ranges, and those from 1.0.0 to 1.0.5 join blocks that are not neighbours in the pool and so call changed ones the
// same.
func (m *Method) checkThinDelta(ctx context.Context) error {
	out, err := m.ask(ctx, thinDelta, "--version")
	if err != nil {
		return err
	}
	found := versionPattern.FindSubmatch(out)
	if found == nil {
		return methods.Unsupportedf("%s does not say its version: %q", thinDelta, out)
	}
	version := 0
	for _, part := range found[1:] {
		n, _ := strconv.Atoi(string(part))
		version = version*10000 + n
	}
	const v0_7, v1_0, v1_0_6 = 7_0000, 1_0000_0000, 1_0000_0006
	if version < v0_7 || version >= v1_0 && version < v1_0_6 {
		return methods.Unsupportedf("%s %s misses changes: install thin-provisioning-tools 1.0.6 or newer", thinDelta, found[0])
	}
	return nil
}
