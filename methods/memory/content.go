package memory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// Open implements methods.Method.
func (m *Method) Open(ctx context.Context, ref methods.Ref) (methods.Content, error) {
	if err := m.store.reach(ctx, AtOpen, ref.Disk.Target); err != nil {
		return nil, err
	}
	if _, err := m.store.stat(ref.Name); err != nil {
		return nil, err
	}
	return snapshotContent{bytes.NewReader(m.store.Snapshot(ref.Name))}, nil
}

type snapshotContent struct{ *bytes.Reader }

func (snapshotContent) Close() error { return nil }

// Changes implements methods.Differ: one extent for each run of bytes that differ.
func (m *Method) Changes(ctx context.Context, req methods.ChangesRequest) ([]methods.Extent, error) {
	if err := m.store.reach(ctx, AtChanges, req.From.Disk.Target); err != nil {
		return nil, err
	}
	if _, err := m.store.stat(req.From.Name); err != nil {
		return nil, err
	}
	other := m.store.Disk(req.Disk.Source.File)
	if req.To != nil {
		if _, err := m.store.stat(req.To.Name); err != nil {
			return nil, err
		}
		other = m.store.Snapshot(req.To.Name)
	}
	return differing(m.store.Snapshot(req.From.Name), other)
}

func differing(a, b []byte) ([]methods.Extent, error) {
	if len(a) != len(b) {
		return nil, methods.Blockedf("the sizes are %d and %d", len(a), len(b))
	}
	extents := []methods.Extent{}
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		if n := len(extents); n > 0 && extents[n-1].End() == int64(i) {
			extents[n-1].Length++
		} else {
			extents = append(extents, methods.Extent{Offset: int64(i), Length: 1})
		}
	}
	return extents, nil
}

// OpenDisk implements methods.Disks.
func (s *Store) OpenDisk(_ context.Context, d methods.Disk) (methods.Writable, error) {
	if _, ok := s.size(d.Source.File); !ok {
		return nil, methods.Blockedf("disk %s: there is no %s", d.Target, d.Source)
	}
	return &openDisk{store: s, source: d.Source.File, target: d.Target}, nil
}

// openDisk is a disk that is read and written in place.
type openDisk struct {
	store          *Store
	source, target string
}

func (d *openDisk) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(d.store.Disk(d.source)).ReadAt(p, off)
}

func (d *openDisk) WriteAt(p []byte, off int64) (int, error) {
	if err := d.store.reach(context.Background(), AtWrite, d.target); err != nil {
		return 0, err
	}
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	content := d.store.disks[d.source]
	if off+int64(len(p)) > int64(len(content)) {
		return 0, fmt.Errorf("write past the end of %s: %w", d.source, io.ErrShortWrite)
	}
	return copy(content[off:], p), nil
}

func (d *openDisk) Size() int64 {
	size, _ := d.store.size(d.source)
	return size
}

func (d *openDisk) Sync() error {
	return d.store.reach(context.Background(), AtSync, d.target)
}

func (*openDisk) Close() error { return nil }

// List implements methods.Lister.
func (m *Method) List(_ context.Context, d methods.Disk) ([]string, error) {
	var names []string
	for _, name := range m.store.Objects() {
		if strings.HasSuffix(name, "-"+d.Target) {
			names = append(names, name)
		}
	}
	return names, nil
}
