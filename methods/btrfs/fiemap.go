package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

const (
	fiemapRequest = ioctlRead | ioctlWrite | fiemapSize<<16 | 'f'<<8 | 11

	// fiemapSize is that of struct fiemap, without extents.
	fiemapSize       = 32
	fiemapExtentSize = 56
	fiemapPage       = 1024

	// fiemapSync writes out what has no address yet.
	fiemapSync = 1

	fiemapUnwritten = 0x0800
	// What does not change where the bytes are.
	fiemapHarmless = fiemapLast | fiemapMerged | fiemapShared | fiemapUnwritten
	fiemapLast     = 0x0001
	fiemapMerged   = 0x1000
	fiemapShared   = 0x2000
)

// fiemapArgs is struct fiemap with room for a page of extents.
type fiemapArgs struct {
	start, length        uint64
	flags, mapped, count uint32
	_                    uint32
	extents              [fiemapPage]fiemapExtent
}

// fiemapExtent is struct fiemap_extent.
type fiemapExtent struct {
	logical, physical, length uint64
	_                         [2]uint64
	flags                     uint32
	_                         [3]uint32
}

// fiemap lists the extents of the file's first size bytes, ascending and apart. Gaps are holes.
func fiemap(ctx context.Context, f *os.File, size int64) ([]extent, error) {
	var all []extent
	args := new(fiemapArgs)
	for at := int64(0); at < size; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		*args = fiemapArgs{start: uint64(at), length: uint64(size - at), flags: fiemapSync, count: fiemapPage}
		if err := askFiemap(f, args); err != nil {
			return nil, err
		}
		if args.mapped == 0 {
			break
		}
		before := at
		all, at = appendPage(all, args.extents[:args.mapped], before, size)
		if at == before {
			return nil, fmt.Errorf("list the extents of %s: there is no end to those at %d", f.Name(), at)
		}
	}
	return all, nil
}

func askFiemap(f *os.File, args *fiemapArgs) error {
	err := ioctl(f, fiemapRequest, unsafe.Pointer(args))
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EBADR) {
		return methods.Unsupportedf("the file system of %s lists no extents", f.Name())
	}
	if err != nil {
		return fmt.Errorf("list the extents of %s: %w", f.Name(), err)
	}
	return nil
}

// appendPage adds what lies between the two offsets, and says how far it got. A page may begin with the whole of an
// extent of which the last page had a part.
func appendPage(all []extent, page []fiemapExtent, from, to int64) ([]extent, int64) {
	for _, listed := range page {
		if listed.logical >= uint64(to) {
			return all, to
		}
		e := listed.extent(to)
		if e.end() <= from {
			continue
		}
		if e.offset < from {
			e = e.from(from)
		}
		all, from = joined(all, e), e.end()
	}
	return all, from
}

// extent is the part of a listed extent before the end.
func (l fiemapExtent) extent(end int64) extent {
	offset := int64(l.logical)
	e := extent{offset: offset, length: int64(min(l.length, uint64(end-offset)))}
	switch {
	case l.flags&^uint32(fiemapHarmless) != 0:
		e.kind = unknown
	case l.flags&fiemapUnwritten == 0:
		e.kind, e.physical = stored, l.physical
	}
	return e
}
