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
	if err := f.Close(); err != nil {
		return nil, err
	}
	return image.Open(ctx, l.image())
}

// image is the snapshot's file for those who open it themselves.
func (l location) image() image.Image {
	return image.Image{Source: methods.Source{File: l.file()}, Format: l.format}
}

// openFile opens the snapshot's file. It fails as openStore and openContent do.
func (l location) openFile(size int64) (_ *os.File, err error) {
	p, store, err := l.openStore()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close(), p.Close()) }()
	return l.openContent(store, size)
}
