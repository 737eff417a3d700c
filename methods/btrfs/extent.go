package btrfs

import (
	"math"

	"github.com/domsnap/domsnap/methods"
)

// kind is what is known of an extent without reading it.
type kind int

const (
	// zeroes: a hole, or preallocated and never written.
	zeroes kind = iota
	// stored: its bytes are at an address.
	stored
	// unknown: inline, still without an address, or changed by the file system in a way that is not known here.
	unknown
)

// extent is a piece of a file.
type extent struct {
	offset, length int64
	kind           kind
	// physical is the address of the first byte. Within a compressed extent it is the position in what was
	// compressed, and compressed is the address of the whole.
	physical, compressed uint64
}

func (e extent) end() int64 { return e.offset + e.length }

// from is the extent without what comes before the offset.
func (e extent) from(offset int64) extent {
	skipped := offset - e.offset
	e.offset, e.length = offset, e.length-skipped
	if e.kind == stored {
		e.physical += uint64(skipped)
	}
	return e
}

// joined adds an extent that comes behind all others. Holes are left out, and what goes on where the last one ends
// becomes one with it, so that one content has one list: file systems also divide extents by who shares them.
func joined(all []extent, e extent) []extent {
	if e.kind == zeroes || e.length <= 0 {
		return all
	}
	if n := len(all); n > 0 && all[n-1].end() == e.offset && all[n-1].kind == e.kind {
		if goesOn := all[n-1].from(e.offset); e.kind == unknown || goesOn.sameContent(e) {
			all[n-1].length += e.length
			return all
		}
	}
	return append(all, e)
}

// sameContent is for extents that begin at one offset, as far as both go.
func (e extent) sameContent(other extent) bool {
	switch {
	case e.kind == unknown || other.kind == unknown || e.kind != other.kind:
		return false
	case e.kind == zeroes:
		return true
	}
	return e.physical == other.physical && e.compressed == other.compressed
}

// differing lists where two files of the size may differ, by their extents: ascending, apart, and without holes.
//
// Outside of the list both files hold the same, because there either both read as zeroes, or both read the very same
// bytes of the file system: the same address, written on both sides, and for a compressed extent also the same
// position in it. Equal addresses mean the same bytes only within one address space, so both files have to be on one
// file system and one device of it; and neither may be written to or moved while the two lists are made. Everything
// else, and everything that is not known, is in the list. Where one side's extent ends is of no importance: both are
// cut at each end of either.
func differing(a, b []extent, size int64) []methods.Extent {
	found := []methods.Extent{}
	left, right := walk{a}, walk{b}
	for at := int64(0); at < size; {
		x, y := left.next(at), right.next(at)
		end := min(x.end(), y.end(), size)
		if !x.sameContent(y) {
			found = extended(found, at, end)
		}
		at = end
	}
	return found
}

// extended adds a piece that comes behind all others.
func extended(extents []methods.Extent, start, end int64) []methods.Extent {
	if n := len(extents); n > 0 && extents[n-1].End() == start {
		extents[n-1].Length += end - start
		return extents
	}
	return append(extents, methods.Extent{Offset: start, Length: end - start})
}

// walk goes through a file's extents once.
type walk struct{ ahead []extent }

// next is what the file has from the offset on: an extent, the rest of one, or a hole.
func (w *walk) next(offset int64) extent {
	for len(w.ahead) > 0 && w.ahead[0].end() <= offset {
		w.ahead = w.ahead[1:]
	}
	end := int64(math.MaxInt64)
	if len(w.ahead) > 0 {
		if w.ahead[0].offset <= offset {
			return w.ahead[0].from(offset)
		}
		end = w.ahead[0].offset
	}
	return extent{offset: offset, length: end - offset}
}
