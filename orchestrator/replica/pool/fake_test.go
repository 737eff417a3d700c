package pool_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/replica/pool"
)

// images are a pool in memory. An image that is open for changes is nobody else's; one that is closed without the last act
// having come to its end is as a process leaves it that was killed.
type images struct {
	mu  sync.Mutex
	all map[string]*image
	// acts counts down to the act that fails, as all do after it; negative for none.
	acts int
}

// image is one of them, and every handle of it.
type image struct {
	of    *images
	data  []byte
	snaps []snapshot
	notes map[string]string
	owned bool
	// changed: what the object map says of the present.
	changed bool
	needed  []string
}

type snapshot struct {
	name string
	data []byte
	// changed is what the object map said when it was taken.
	changed bool
}

var errCut = errors.New("cut")

func newImages() *images { return &images{all: map[string]*image{}, acts: -1} }

// act does something in one go, or fails.
func (p *images) act(do func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.acts == 0 {
		return errCut
	}
	if p.acts > 0 {
		p.acts--
	}
	return do()
}

func (p *images) Images(context.Context) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.all)), nil
}

func (p *images) Create(_ context.Context, name string, size int64, _ bool) error {
	return p.act(func() error {
		if p.all[name] != nil {
			return methods.ErrExists
		}
		p.all[name] = &image{of: p, data: make([]byte, size), notes: map[string]string{}}
		return nil
	})
}

func (p *images) Remove(_ context.Context, name string) error {
	return p.act(func() error {
		if i := p.all[name]; i != nil && (len(i.snaps) > 0 || i.owned) {
			return methods.Blockedf("image %s is in use", name)
		}
		delete(p.all, name)
		return nil
	})
}

// handle is an image that is open, and where it is read.
type handle struct {
	*image
	at     string
	change bool
}

func (p *images) Look(_ context.Context, name string) (pool.Reader, error) {
	return p.open(name, false)
}

func (p *images) Change(_ context.Context, name string) (pool.Writer, error) {
	return p.open(name, true)
}

func (p *images) Companion(_ context.Context, name string) (pool.Writer, error) {
	return p.open(name, true)
}

func (p *images) open(name string, change bool) (*handle, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.all[name]
	switch {
	case i == nil:
		return nil, methods.ErrNotFound
	case change && i.owned:
		return nil, methods.Blockedf("image %s is open", name)
	}
	i.owned = i.owned || change
	return &handle{i, "", change}, nil
}

func (p *images) Close() error { return nil }

func (h *handle) Close() error {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	if h.change {
		h.owned = false
	}
	return nil
}

func (i *image) find(snap string) int {
	return slices.IndexFunc(i.snaps, func(s snapshot) bool { return s.name == snap })
}

func (h *handle) ReadAt(b []byte, at int64) (int, error) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	data := h.data
	if h.at != "" {
		data = h.snaps[h.find(h.at)].data
	}
	n, err := bytes.NewReader(data).ReadAt(b, at)
	if n == len(b) {
		err = nil
	}
	return n, err
}

func (h *handle) ReadExtents(extents []methods.Extent, data []byte) error {
	return methods.EachPart(extents, data, h.ReadAt)
}

func (h *handle) WriteExtents(extents []methods.Extent, data []byte) error {
	return methods.EachPart(extents, data, h.WriteAt)
}

func (h *handle) Snapshots(context.Context) (names []string, size int64, err error) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	for _, s := range h.snaps {
		names = append(names, s.name)
	}
	return names, int64(len(h.data)), nil
}

func (h *handle) Noted(_ context.Context, key string) (string, error) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	return h.notes[key], nil
}

func (h *handle) At(_ context.Context, snap string) error {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	if h.find(snap) < 0 {
		return methods.ErrNotFound
	}
	h.at = snap
	return nil
}

func (h *handle) Differs(_ context.Context, snap string) (bool, error) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	if h.find(snap) < 0 {
		return false, methods.ErrNotFound
	}
	return h.changed, nil
}

func (h *handle) WriteAt(b []byte, at int64) (int, error) {
	return len(b), h.act(func() {
		copy(h.data[at:], b)
		h.changed = true
	})
}

func (h *handle) Clear(e methods.Extent) error {
	return h.act(func() {
		clear(h.data[e.Offset:e.End()])
		h.changed = true
	})
}

func (h *handle) act(do func()) error {
	return h.of.act(func() error {
		do()
		return nil
	})
}

func (h *handle) Flush(context.Context) error { return h.act(func() {}) }

func (h *handle) Resize(_ context.Context, size int64) error {
	return h.act(func() {
		h.data = append(slices.Clone(h.data[:min(size, int64(len(h.data)))]), make([]byte, max(0, size-int64(len(h.data))))...)
		h.changed = true
	})
}

func (h *handle) RollBack(_ context.Context, snap string) error {
	return h.of.act(func() error {
		at := h.find(snap)
		if at < 0 {
			return methods.ErrNotFound
		}
		h.data, h.changed = slices.Clone(h.snaps[at].data), h.snaps[at].changed
		return nil
	})
}

func (h *handle) Note(_ context.Context, key, text string) error {
	return h.act(func() { h.notes[key] = text })
}

func (h *handle) CreateSnapshot(_ context.Context, snap string) error {
	return h.of.act(func() error {
		if h.find(snap) >= 0 {
			return methods.ErrExists
		}
		h.snaps = append(h.snaps, snapshot{snap, slices.Clone(h.data), h.changed})
		h.changed = false
		return nil
	})
}

func (h *handle) RemoveSnapshot(_ context.Context, snap string) error {
	return h.act(func() { h.snaps = slices.DeleteFunc(h.snaps, func(s snapshot) bool { return s.name == snap }) })
}

func (h *handle) Dependents(context.Context, string) ([]string, error) { return h.needed, nil }

var (
	_ pool.Images = (*images)(nil)
	_ pool.Writer = (*handle)(nil)
	_ io.ReaderAt = (*handle)(nil)
)
