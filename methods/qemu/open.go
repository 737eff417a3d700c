package qemu

import (
	"context"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

// Open implements methods.Method.
func (m *Method) Open(ctx context.Context, ref methods.Ref) (methods.Content, error) {
	if _, err := m.Stat(ctx, ref); err != nil {
		return nil, err
	}
	return image.Open(ctx, image.Image{Source: sourceAt(ref), Format: ref.Disk.Format})
}

// sourceAt is the snapshot's image as a source.
func sourceAt(ref methods.Ref) methods.Source {
	if ref.Disk.Source.Dev != "" {
		return methods.Source{Dev: ref.Name}
	}
	return methods.Source{File: ref.Name}
}
