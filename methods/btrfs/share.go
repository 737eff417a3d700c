package btrfs

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
)

// share makes the second file the first again, by sharing its extents. It gets the length first: a tail behind the last
// whole block would be in the way.
func (s *sides) share(ctx context.Context) error {
	st, err := stat(s.from)
	if err != nil {
		return err
	}
	if err := trace.Do(ctx, "btrfs: size the disk", func() error { return s.to.Truncate(st.Size) }); err != nil {
		return err
	}
	if err := s.shareDiffering(ctx, st); err != nil {
		return err
	}
	return s.to.Sync()
}

// shareDiffering leaves what is shared already: to share a file costs as much as it has extents.
func (s *sides) shareDiffering(ctx context.Context, st unix.Stat_t) error {
	extents, err := s.differing(ctx, st.Size)
	if errors.Is(err, methods.ErrUnsupported) {
		extents, err = []methods.Extent{{Length: st.Size}}, nil
	}
	if err != nil {
		return err
	}
	for _, e := range extents {
		part := clonable(e, st)
		if err := trace.Do(ctx, "btrfs: share", func() error { return cloneRange(s.to, s.from, part) }); err != nil {
			return fmt.Errorf("share %d bytes at %d: %w", e.Length, e.Offset, err)
		}
	}
	return nil
}

// clonable is the whole blocks that an extent lies in. Only the end of the file may be within one, and has no length.
func clonable(e methods.Extent, st unix.Stat_t) methods.Extent {
	block := st.Blksize
	start, end := e.Offset/block*block, (e.End()+block-1)/block*block
	if end >= st.Size {
		return methods.Extent{Offset: start}
	}
	return methods.Extent{Offset: start, Length: end - start}
}
