package lvm

import (
	"math"

	"github.com/domsnap/domsnap/methods"
)

const (
	// defaultPercent of the origin is what a thick snapshot can keep, where the descriptor says nothing.
	defaultPercent = 20
	// cowChunk is the unit in which a thick snapshot keeps what changes, and exceptionBytes what it notes
	// for each.
	cowChunk       = 4096
	exceptionBytes = 16
)

// sizeOption has one of its fields set.
type sizeOption struct {
	Percent *int64 `xml:"percent,attr"`
	Bytes   *int64 `xml:"bytes,attr"`
}

// reserve is the size of the snapshot's volume in whole extents; none for a thin one. It is never more than
// LVM would take: all chunks of the origin, and the list of them. Extra comes on top of a share.
func (s *sizeOption) reserve(origin volume, extra int64) (int64, error) {
	if origin.thin() {
		if s != nil {
			return 0, methods.Unsupportedf("<size> is for thick volumes: %s is thin and shares its pool's room", origin.Name)
		}
		return 0, nil
	}
	want, err := s.wanted(int64(origin.Size), extra)
	if err != nil {
		return 0, err
	}
	most := storeBytes(roundUp(int64(origin.Size), cowChunk)/cowChunk, cowChunk)
	return roundUp(min(max(want, 4*cowChunk), most), max(int64(origin.GroupExtent), cowChunk)), nil
}

// wanted is what was asked for. All of the origin means room for the list of its chunks too.
func (s *sizeOption) wanted(origin, extra int64) (int64, error) {
	if s == nil {
		return origin/100*defaultPercent + extra, nil
	}
	if (s.Percent == nil) == (s.Bytes == nil) {
		return 0, methods.Unsupportedf("<size> wants percent or bytes, one of them")
	}
	if s.Bytes != nil {
		if *s.Bytes < 1 {
			return 0, methods.Unsupportedf("<size bytes='%d'/>: want 1 or more", *s.Bytes)
		}
		return *s.Bytes, nil
	}
	if *s.Percent < 1 || *s.Percent > 100 {
		return 0, methods.Unsupportedf("<size percent='%d'/>: want 1 to 100", *s.Percent)
	}
	if *s.Percent == 100 {
		return math.MaxInt64, nil
	}
	return origin/100**s.Percent + extra, nil
}

// storeBytes is what a thick snapshot takes to keep that many chunks: a header, the chunks, and lists of them
// with one to spare, because the next list is begun before this one is full.
func storeBytes(chunks, chunk int64) int64 {
	return (1 + chunks + chunks/(chunk/exceptionBytes) + 2) * chunk
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
