package pool

import (
	"context"
	"io"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/rbd"
)

// Images are those of a pool.
type Images interface {
	// Images are the names of all.
	Images(ctx context.Context) ([]string, error)
	// Create makes one of zeroes; a plain one has no features that cost time.
	Create(ctx context.Context, name string, size int64, plain bool) error
	// Remove takes one away that has no snapshots.
	Remove(ctx context.Context, name string) error
	// Look opens one for reading, Change for changes by nobody else. They fail with ErrNotFound.
	Look(ctx context.Context, name string) (Reader, error)
	Change(ctx context.Context, name string) (Writer, error)
	// Companion opens one for changes that nobody changes who has not another one for that. It fails with ErrNotFound.
	Companion(ctx context.Context, name string) (Writer, error)
	Close() error
}

// Reader is an image that is open.
type Reader interface {
	io.ReaderAt
	methods.Gathering
	// Snapshots are the names of all, and the size of the present.
	Snapshots(ctx context.Context) ([]string, int64, error)
	Noted(ctx context.Context, key string) (string, error)
	// At has it read at a snapshot. It fails with ErrNotFound.
	At(ctx context.Context, snap string) error
	Close() error
}

// Writer is an image that is open for changes. What it reads is the present.
type Writer interface {
	Reader
	Head
	io.WriterAt
	// WriteExtents writes data to extents, one behind the other: it is as long as they are together.
	WriteExtents(extents []methods.Extent, data []byte) error
	Clear(e methods.Extent) error
	Note(ctx context.Context, key, text string) error
	CreateSnapshot(ctx context.Context, snap string) error
	RemoveSnapshot(ctx context.Context, snap string) error
	// Dependents says, for people, what keeps a snapshot from being removed.
	Dependents(ctx context.Context, snap string) ([]string, error)
}

// Head is the present of an image.
type Head interface {
	Flush(ctx context.Context) error
	Resize(ctx context.Context, size int64) error
	RollBack(ctx context.Context, snap string) error
	// Differs says that it may not be what a snapshot is.
	Differs(ctx context.Context, snap string) (bool, error)
}

// ceph has the images as what is needed of them here.
type ceph struct{ *rbd.Pool }

func (c ceph) Look(ctx context.Context, name string) (Reader, error) {
	i, err := c.Pool.Look(ctx, name)
	if err != nil {
		return nil, err
	}
	return i, nil
}

func (c ceph) Change(ctx context.Context, name string) (Writer, error) {
	return writer(c.Pool.Change(ctx, name))
}

func (c ceph) Companion(ctx context.Context, name string) (Writer, error) {
	return writer(c.Pool.Companion(ctx, name))
}

func writer(i *rbd.Image, err error) (Writer, error) {
	if err != nil {
		return nil, err
	}
	return i, nil
}

var (
	_ Images = ceph{}
	_ Writer = (*rbd.Image)(nil)
)
