package rbd

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// Image is an image of a Pool that is open. What changes it wants one that was opened for that.
type Image struct {
	session *session
	limits  limits
	// content is what ReadAt reads: the present of an image that is open for changes, or what At chose.
	content data
}

// Close lets go of the image.
func (i *Image) Close() error { return i.session.close(i.limits.finish) }

func (i *Image) do(ctx context.Context, act string, call func() error) error {
	if err := i.session.do(ctx, call); err != nil {
		return fmt.Errorf("%s image %s: %w", act, i.session.place.RBDImage, err)
	}
	return nil
}

// Snapshots are those that users made, the oldest first, and Size is that of the present.
func (i *Image) Snapshots(ctx context.Context) (names []string, size int64, err error) {
	err = i.do(ctx, "look at", func() error {
		found, err := i.session.reader.describe()
		for _, s := range found.snaps {
			names = append(names, s.name)
		}
		size = found.size
		return err
	})
	return names, size, err
}

// At has ReadAt read a snapshot from now on, and nothing else but Close follow. It fails with ErrNotFound.
func (i *Image) At(ctx context.Context, snap string) error {
	return i.do(ctx, "read", func() (err error) {
		i.content, err = i.session.reader.stay(snap)
		return err
	})
}

// ReadAt implements io.ReaderAt, side by side with others.
func (i *Image) ReadAt(b []byte, at int64) (int, error) { return i.content.ReadAt(b, at) }

// ReadExtents implements methods.Gathering.
func (i *Image) ReadExtents(extents []methods.Extent, data []byte) error {
	return i.content.ReadExtents(extents, data)
}

// Noted is what Note put down; empty for nothing.
func (i *Image) Noted(ctx context.Context, key string) (text string, err error) {
	err = i.do(ctx, "read the notes of", func() (err error) {
		text, err = i.session.reader.noted(key)
		return err
	})
	return text, err
}

// Note puts a text down in the image's metadata, durably; an empty one takes it away.
func (i *Image) Note(ctx context.Context, key, text string) error {
	return i.do(ctx, "note something with", func() error { return i.session.writer.note(key, text) })
}

// Dependents says, for people, what keeps a snapshot from being removed.
func (i *Image) Dependents(ctx context.Context, snap string) (by []string, err error) {
	err = i.do(ctx, "look at", func() (err error) {
		by, err = i.session.reader.dependents(snap)
		return err
	})
	return by, err
}

// Differs says that the present may not be what the snapshot is, by the object map where there is one.
func (i *Image) Differs(ctx context.Context, snap string) (differs bool, err error) {
	err = i.do(ctx, "compare", func() error {
		found, err := i.session.reader.changed(snap, "")
		if errors.Is(err, methods.ErrUnsupported) {
			var now description
			if now, err = i.session.reader.describe(); err == nil {
				found, err = i.session.reader.changedWithin(snap, "", extent{length: now.size})
			}
		}
		differs = len(found) > 0
		return err
	})
	return differs, err
}

// WriteAt implements io.WriterAt, side by side with others.
func (i *Image) WriteAt(b []byte, at int64) (int, error) { return i.session.writer.WriteAt(b, at) }

// WriteExtents writes data to extents, one behind the other: it is as long as they are together.
func (i *Image) WriteExtents(extents []methods.Extent, data []byte) error {
	return i.session.writer.WriteExtents(extents, data)
}

// Clear makes an extent zero.
func (i *Image) Clear(e methods.Extent) error {
	return i.session.writer.clear(extent{offset: e.Offset, length: e.Length})
}

// Flush makes durable what was written.
func (i *Image) Flush(ctx context.Context) error { return i.do(ctx, "flush", i.session.writer.flush) }

// Resize changes the size of the present. What is cut off is zero when it comes again.
func (i *Image) Resize(ctx context.Context, size int64) error {
	return i.do(ctx, "resize", func() error { return i.session.writer.resize(size) })
}

// RollBack gives the present the content and the size of a snapshot.
func (i *Image) RollBack(ctx context.Context, snap string) error {
	return i.do(ctx, "roll back", func() error { return i.session.writer.rollBack(snap) })
}

// CreateSnapshot makes one of the present. It fails with ErrExists.
func (i *Image) CreateSnapshot(ctx context.Context, snap string) error {
	return i.do(ctx, "snapshot", func() error { return i.session.writer.createSnap(snap) })
}

// RemoveSnapshot takes one away. One that is not there is no error.
func (i *Image) RemoveSnapshot(ctx context.Context, snap string) error {
	err := i.do(ctx, "remove a snapshot of", func() error { return i.session.writer.removeSnap(snap) })
	if errors.Is(err, methods.ErrNotFound) {
		return nil
	}
	return err
}
