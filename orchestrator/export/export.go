// Package export writes the content of a snapshot to a file, or the part of it that has changed.
//
// The file comes to its place when it is whole and durable. What a process that was killed has left beside is taken away by
// the next export to the same place.
package export

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

// The formats.
const (
	Raw   = "raw"
	Qcow2 = "qcow2"
)

// File is what is to be written.
type File struct {
	// Path is where; nothing is there yet.
	Path string
	// Format is Raw or Qcow2.
	Format  string
	Content methods.Content
	// Changed, where Partial, are the extents to write, ascending and apart. Elsewhere a raw file has holes, and a list beside
	// it says which those are not; a qcow2 image has nothing, and is an overlay of what it was compared with.
	Partial  bool
	Changed  []methods.Extent
	Progress methods.Progress
}

// ExtentsSuffix is what the name of the list beside a raw file ends with.
const ExtentsSuffix = ".extents.json"

// Write says how many bytes it has written. It fails with ErrExists where something is in the file's place. After an error
// nothing is left.
func (f File) Write(ctx context.Context) (written int64, err error) {
	p, err := claim(f.Path)
	if err != nil {
		return 0, fmt.Errorf("export to %s: %w", f.Path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("export to %s: %w", f.Path, err), p.abandon())
		}
	}()
	if written, err = f.fill(ctx, p); err != nil {
		return written, err
	}
	if f.Partial && f.Format == Raw {
		if err := p.list(f.Content.Size(), f.Changed); err != nil {
			return written, err
		}
	}
	return written, p.publish()
}

// sink is a file that is filled in.
type sink interface {
	io.WriterAt
	io.Closer
	Sync() error
}

func (f File) fill(ctx context.Context, p *partial) (written int64, err error) {
	to, grain, err := f.sink(ctx, p)
	if err != nil {
		return 0, err
	}
	c := copier{from: f.Content, to: to, grain: grain, progress: f.Progress}
	extents := []methods.Extent{{Length: f.Content.Size()}}
	if f.Partial {
		extents = f.Changed
	}
	if f.Format == Qcow2 {
		// What is zero now, and was not before, has to be in the overlay; and a cluster is in it as a whole.
		c.zeroes = f.Partial
	} else {
		grain = 1
	}
	err = c.copy(ctx, image.Aligned(extents, grain, f.Content.Size()))
	if err == nil {
		err = to.Sync()
	}
	return c.written, errors.Join(err, to.Close())
}

// sink says too what a piece is that can be left out if it is zero.
func (f File) sink(ctx context.Context, p *partial) (sink, int64, error) {
	switch f.Format {
	case Raw:
		return rawFile{p}, 4 << 10, p.file.Truncate(f.Content.Size())
	case Qcow2:
		to, err := openQcow2(ctx, p, f.Content.Size())
		return to, clusterSize, err
	}
	return nil, 0, methods.Unsupportedf("there is no format %q: choose raw or qcow2", f.Format)
}

// rawFile is closed when it has its name.
type rawFile struct{ *partial }

func (r rawFile) WriteAt(b []byte, at int64) (int, error) { return r.file.WriteAt(b, at) }

func (r rawFile) Sync() error { return r.file.Sync() }

func (rawFile) Close() error { return nil }
