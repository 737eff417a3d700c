package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

// Open implements methods.Method.
func (m *Method) Open(ctx context.Context, ref methods.Ref) (methods.Content, error) {
	l, err := m.recorded(ref)
	if err != nil {
		return nil, err
	}
	f, err := l.openFile(ref.Size)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %s: %w", ref.Name, err)
	}
	if l.format == "raw" {
		return methods.Bounded(f, ref.Size), nil
	}
	// The file itself: its name leads through a directory that QEMU's user may own.
	itself := methods.Source{File: image.Itself(f)}
	c, err := image.Open(ctx, image.Image{Source: itself, Format: l.format})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open snapshot %s: %w", ref.Name, err), f.Close())
	}
	return opened{c, f}, nil
}

// opened is a snapshot's content and the file that it is read from.
type opened struct {
	methods.Content
	file *os.File
}

// Close implements methods.Content.
func (r opened) Close() error { return errors.Join(r.Content.Close(), r.file.Close()) }

// openFile opens the snapshot's file. It fails as openStore and openContent do.
func (l location) openFile(size int64) (_ *os.File, err error) {
	p, store, err := l.openStore()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close(), p.Close()) }()
	return l.openContent(store, size)
}
