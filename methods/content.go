package methods

import (
	"context"
	"io"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Content is what a disk or a snapshot holds, as the guest sees it. Reading side by side is allowed.
type Content interface {
	io.ReaderAt
	io.Closer
	// Size is in bytes.
	Size() int64
}

// Bounded is the first size bytes of what it closes in the end. That of a file is Foreseeing.
func Bounded(of interface {
	io.ReaderAt
	io.Closer
}, size int64) Content {
	b := bounded{io.NewSectionReader(of, 0, size), of}
	if f, ok := of.(*os.File); ok {
		return boundedFile{b, File{f}}
	}
	return b
}

type boundedFile struct {
	bounded
	Foreseeing
}

type bounded struct {
	*io.SectionReader
	io.Closer
}

// Gathering is a content of which many extents are read with one call, where each call has its price.
type Gathering interface {
	// ReadExtents reads extents of it into data, one behind the other: data is as long as they are together. It reads all or
	// fails.
	ReadExtents(extents []Extent, data []byte) error
}

// EachPart does with the part of each extent, of data that has them one behind the other, what ReadAt or WriteAt does, until
// the first error.
func EachPart(extents []Extent, data []byte, do func(part []byte, at int64) (int, error)) error {
	for _, e := range extents {
		if _, err := do(data[:e.Length:e.Length], e.Offset); err != nil {
			return err
		}
		data = data[e.Length:]
	}
	return nil
}

// Foreseeing is a content that the kernel reads. Expect has it begin to read an extent, and returns at once: who expects what comes
// next has no need to read side by side.
type Foreseeing interface {
	Expect(e Extent)
}

// File is a Foreseeing.
type File struct{ *os.File }

// Expect implements Foreseeing. What cannot be read ahead is read when it is asked for.
func (f File) Expect(e Extent) {
	_ = unix.Fadvise(int(f.Fd()), e.Offset, e.Length, unix.FADV_WILLNEED)
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
