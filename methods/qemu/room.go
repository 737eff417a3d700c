package qemu

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// checkRoom fails with ErrBlocked where there is no room for what a merge adds to the image below. What both hold is written
// in place, so that a merge can work on a full file system too: that is looked at only where all of the overlay might be too
// much.
func (m *Method) checkRoom(ctx context.Context, f family, live bool) error {
	top := f.children[0]
	free, err := m.free(f.image.Path, live)
	if err != nil || used(top.Path) <= free {
		return err
	}
	base, err := m.images.info(ctx, f.image)
	if err != nil {
		return err
	}
	needed, err := m.images.growth(ctx, top, base)
	if err != nil || needed <= free {
		return err
	}
	return &methods.Blocked{
		What: fmt.Sprintf("%s has %d KiB that %s has no place for, and %d KiB are free there", top.Path, needed>>10, base.Path, free>>10),
		Hint: "make room in " + filepath.Dir(base.Path),
	}
}

// growth is how many bytes a base grows by, at least, when an image on it is merged into it.
func (i images) growth(ctx context.Context, top, base layer) (int64, error) {
	above, err := i.mapped(ctx, top)
	if err != nil {
		return 0, err
	}
	below, err := i.mapped(ctx, base)
	if err != nil {
		return 0, err
	}
	written := own(above, func(e mappedExtent) bool { return e.Data })
	if base.Format == qcow2 {
		return missing(written, own(below, func(e mappedExtent) bool { return e.Present })), nil
	}
	// What a raw file has reserved and not written looks like a hole.
	return min(missing(written, own(below, func(e mappedExtent) bool { return e.Data })), base.Size-used(base.Path)), nil
}

// own are the extents of an image itself, of those that are asked for.
func own(mapped []mappedExtent, asked func(mappedExtent) bool) []methods.Extent {
	var found []methods.Extent
	for _, e := range mapped {
		if e.Depth == 0 && asked(e) {
			found = append(found, methods.Extent{Offset: e.Start, Length: e.Length})
		}
	}
	return found
}

// missing is how many bytes of the extents are not among the others.
func missing(extents, others []methods.Extent) int64 {
	return sum(merged(slices.Concat(extents, others))) - sum(merged(slices.Clone(others)))
}

func sum(extents []methods.Extent) (bytes int64) {
	for _, e := range extents {
		bytes += e.Length
	}
	return bytes
}

// used is the room that a file takes; 0 where that cannot be told.
func used(path string) int64 {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return 0
	}
	return st.Blocks * 512
}

// freeBeside is the room that a file has to grow, by QEMU's hand or by ours, which may use what is reserved for root. What is
// no file does not grow.
func freeBeside(path string, byQEMU bool) (int64, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return math.MaxInt64, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, fmt.Errorf("look for room beside %s: %w", path, err)
	}
	if byQEMU {
		return int64(st.Bavail) * st.Bsize, nil
	}
	return int64(st.Bfree) * st.Bsize, nil
}
