package lvm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

// Open implements methods.Method. A snapshot that is not active is activated for as long as somebody reads it.
func (m *Method) Open(ctx context.Context, ref methods.Ref) (methods.Content, error) {
	t, err := parseRef(ref)
	if err != nil {
		return nil, err
	}
	release, err := m.activate(ctx, t)
	if err != nil {
		return nil, err
	}
	content, err := openContent(ctx, m.path(t.snapshot), ref)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open snapshot %s: %w", t.snapshot, err), release())
	}
	return reading{content, release}, nil
}

// openContent opens the device of a snapshot as what it holds.
func openContent(ctx context.Context, path string, ref methods.Ref) (methods.Content, error) {
	if ref.Disk.Format != "raw" {
		return image.Open(ctx, image.Image{Source: methods.Source{Dev: path}, Format: ref.Disk.Format})
	}
	f, err := openDevice(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil && size < ref.Size {
		err = fmt.Errorf("it has %d bytes of %d: %w", size, ref.Size, methods.ErrBroken)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return methods.Bounded(f, ref.Size), nil
}

// reading is an open snapshot.
type reading struct {
	methods.Content
	release func() error
}

// Close implements methods.Content.
func (r reading) Close() error { return errors.Join(r.Content.Close(), r.release()) }
