package methods

import (
	"context"
	"io"
	"math"
)

// Content is what a disk or a snapshot holds, as the guest sees it. Reading side by side is allowed.
type Content interface {
	io.ReaderAt
	io.Closer
	// Size is in bytes.
	Size() int64
}

// Bounded is the first size bytes of what it closes in the end.
func Bounded(of interface {
	io.ReaderAt
	io.Closer
}, size int64) Content {
	return bounded{io.NewSectionReader(of, 0, size), of}
}

type bounded struct {
	*io.SectionReader
	io.Closer
}

// Writable is a disk that can be written in place.
type Writable interface {
	Content
	io.WriterAt
	// Sync returns when everything written is durable.
	Sync() error
}

// Disks opens disks, whatever they are made of, for what writes to them without knowing their storage.
type Disks interface {
	// OpenDisk opens a disk of a domain that is off. It fails with ErrUnsupported for a disk it cannot open.
	OpenDisk(ctx context.Context, disk Disk) (Writable, error)
}

// Extent is a piece of a disk, in bytes.
type Extent struct {
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
}

// End is the first byte after it.
func (e Extent) End() int64 { return e.Offset + e.Length }

// Whole is all of a disk, however big that is.
func Whole() []Extent { return []Extent{{Length: math.MaxInt64}} }

// within ends Whole where the disk does.
func within(extents []Extent, size int64) []Extent {
	if len(extents) == 1 && extents[0] == Whole()[0] {
		return []Extent{{Length: size}}
	}
	return extents
}

// TotalLength is the sum of all lengths.
func TotalLength(extents []Extent) int64 {
	var total int64
	for _, e := range extents {
		total += e.Length
	}
	return total
}
