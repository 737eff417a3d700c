package lvm

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/domsnap/domsnap/methods"
)

// The layout of a persistent exception store, as in the kernel's drivers/md/dm-snap-persistent.c: a header
// chunk, then again and again a chunk of pairs (old chunk, new chunk), an area, and the chunks it lists. All
// numbers are little endian. A new chunk of 0 ends the list.
const (
	storeMagic      = 0x70416e53 // "SnAp"
	storeVersion    = 1
	sectorBytes     = 512
	maxChunkSectors = 2048
)

// exceptions are the chunks of the origin that a thick snapshot keeps an old copy of.
type exceptions struct {
	// chunk is the unit in bytes, a power of two.
	chunk int64
	// old are the numbers of the chunks, ascending.
	old []int64
}

// store is an exception store and what it may hold.
type store struct {
	io.ReaderAt
	// size and origin are the bytes of the store and of the volume it is for.
	size, origin int64
}

// readExceptions reads the whole list. A store that does not keep to the format is ErrBroken: what it says is
// about to be written over a disk.
func readExceptions(s store) (exceptions, error) {
	chunk, err := s.readHeader()
	if err != nil {
		return exceptions{}, err
	}
	e := exceptions{chunk: chunk}
	for at, more := int64(1), true; more; at += chunk/exceptionBytes + 1 {
		if more, err = s.readArea(&e, at); err != nil {
			return exceptions{}, err
		}
	}
	slices.Sort(e.old)
	if twice := len(e.old) - len(slices.Compact(slices.Clone(e.old))); twice > 0 {
		return exceptions{}, brokenStore("%d chunks are listed twice", twice)
	}
	return e, nil
}

func (s store) readHeader() (chunk int64, err error) {
	var h [16]byte
	if _, err := s.ReadAt(h[:], 0); err != nil {
		return 0, fmt.Errorf("read exception store: %w", err)
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(h[4*i:]) }
	if word(0) != storeMagic {
		return 0, brokenStore("it begins with %#x", word(0))
	}
	if word(1) != 1 {
		return 0, brokenStore("it is marked invalid")
	}
	if word(2) != storeVersion {
		return 0, brokenStore("its version is %d", word(2))
	}
	if n := word(3); bits.OnesCount32(n) != 1 || n > maxChunkSectors {
		return 0, brokenStore("its chunks have %d sectors", n)
	}
	return int64(word(3)) * sectorBytes, nil
}

// readArea adds what one area lists. It says whether another one follows.
func (s store) readArea(e *exceptions, at int64) (more bool, err error) {
	chunks := s.size / e.chunk
	if at >= chunks {
		return false, brokenStore("its list does not end")
	}
	area := make([]byte, e.chunk)
	if _, err := s.ReadAt(area, at*e.chunk); err != nil {
		return false, fmt.Errorf("read exception store: %w", err)
	}
	for ; len(area) > 0; area = area[exceptionBytes:] {
		before, kept := binary.LittleEndian.Uint64(area), binary.LittleEndian.Uint64(area[8:])
		if kept == 0 {
			return false, nil
		}
		if before >= uint64(roundUp(s.origin, e.chunk)/e.chunk) {
			return false, brokenStore("chunk %d is beyond the end of the origin", before)
		}
		if kept >= uint64(chunks) || (kept-1)%uint64(e.chunk/exceptionBytes+1) == 0 {
			return false, brokenStore("chunk %d is said to be kept in %d", before, kept)
		}
		e.old = append(e.old, int64(before))
	}
	return true, nil
}

func brokenStore(format string, args ...any) error {
	return fmt.Errorf("read exception store: %s: %w", fmt.Sprintf(format, args...), methods.ErrBroken)
}

// missingFrom counts, in chunks of another snapshot, what it does not keep yet of these chunks: what it has
// to copy when they are written.
func (e exceptions) missingFrom(other exceptions) int64 {
	var n, last int64 = 0, -1
	for _, old := range e.old {
		first, end := old*e.chunk/other.chunk, ((old+1)*e.chunk-1)/other.chunk
		for c := max(first, last+1); c <= end; c++ {
			last = c
			if _, kept := slices.BinarySearch(other.old, c); !kept {
				n++
			}
		}
	}
	return n
}
