package rbd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// fake is a cluster with one image, which is also every handle of it.
type fake struct {
	mu      sync.Mutex
	found   description
	by      users
	needed  []string
	silence [][]client // one answer per call, then none
	diffs   map[[2]string][]extent
	noDiff  bool
	missing bool
	block   chan struct{} // createSnap waits for it, if set
	onUsers func()
	open    int
	created []string
	removed []string
	rolled  []string
	striped bool
	exact   map[extent][]extent // what changed within a range
	then    []byte              // the content at any snapshot
	now     []byte
	onWrite func() error
	cleared []extent
	flushed int
	notes   map[string]string
	onClose error // of images
}

func (f *fake) connect(methods.RBDImage) (cluster, error) {
	f.count(1)
	return fakeCluster{f}, nil
}

func (f *fake) count(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open += n
}

type fakeCluster struct{ *fake }

func (c fakeCluster) close() { c.count(-1) }

func (c fakeCluster) read(string) (reader, error) {
	if c.missing {
		return nil, methods.ErrNotFound
	}
	c.count(1)
	return c.fake, nil
}

func (c fakeCluster) write(string) (writer, error) {
	c.count(1)
	return c.fake, nil
}

func (f *fake) close() error {
	f.count(-1)
	return f.onClose
}

func (f *fake) describe() (description, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.found, nil
}

func (f *fake) users() (users, error) {
	if f.onUsers != nil {
		f.onUsers()
	}
	return f.by, nil
}

func (f *fake) silent(time.Duration) ([]client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.silence) == 0 {
		return nil, nil
	}
	now := f.silence[0]
	f.silence = f.silence[1:]
	return now, nil
}

func (f *fake) dependents(string) ([]string, error) { return f.needed, nil }

func (f *fake) changed(from, to string) ([]extent, error) {
	if f.noDiff {
		return nil, methods.ErrUnsupported
	}
	return f.diffs[[2]string{from, to}], nil
}

func (f *fake) plain(string) error {
	if f.striped {
		return methods.ErrUnsupported
	}
	return nil
}

func (f *fake) changedWithin(_, _ string, in extent) ([]extent, error) {
	in.exists = false
	return f.exact[in], nil
}

func (f *fake) stay(string) (data, error) { return memory{bytes.NewReader(f.then)}, nil }

// memory is data that extents are read of one by one.
type memory struct{ io.ReaderAt }

func (m memory) ReadExtents(extents []methods.Extent, data []byte) error {
	return methods.EachPart(extents, data, m.ReadAt)
}

func (f *fake) ReadExtents(extents []methods.Extent, data []byte) error {
	return memory{f}.ReadExtents(extents, data)
}

func (f *fake) WriteExtents(extents []methods.Extent, data []byte) error {
	return methods.EachPart(extents, data, f.WriteAt)
}

func (f *fake) WriteAt(data []byte, offset int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.onWrite != nil {
		if err := f.onWrite(); err != nil {
			return 0, err
		}
	}
	return copy(f.now[offset:], data), nil
}

func (f *fake) clear(e extent) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cleared = append(f.cleared, e)
	clear(f.now[e.offset:e.end()])
	return nil
}

func (f *fake) note(key, text string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.notes == nil {
		f.notes = map[string]string{}
	}
	f.notes[key] = text
	return nil
}

func (f *fake) noted(key string) (string, error) { return f.notes[key], nil }

func (f *fake) flush() error {
	f.flushed++
	return nil
}

func (f *fake) createSnap(name string) error {
	if f.block != nil {
		<-f.block
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.created = append(f.created, name)
	id := uint64(len(f.created))
	f.found.snaps = append(f.found.snaps, snapshot{id, name, f.found.size})
	f.found.ids = append(f.found.ids, id)
	return nil
}

func (f *fake) removeSnap(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.found.find(name)
	if at < 0 {
		return methods.ErrNotFound
	}
	f.removed = append(f.removed, name)
	id := f.found.snaps[at].id
	f.found.ids = slices.DeleteFunc(slices.Clone(f.found.ids), func(other uint64) bool { return other == id })
	f.found.snaps = append(f.found.snaps[:at:at], f.found.snaps[at+1:]...)
	return nil
}

func (f *fake) rollBack(name string) error {
	f.rolled = append(f.rolled, name)
	return nil
}

// stage is the method over a fake, for one disk of 1000 bytes.
type stage struct {
	*fake
	t      *testing.T
	method *Method
	disk   methods.Disk
}

func newStage(t *testing.T) *stage {
	t.Helper()
	f := &fake{found: description{size: 1000}}
	brief := limits{answer: 30 * time.Millisecond, dead: 50 * time.Millisecond, finish: time.Second}
	s := &stage{f, t, &Method{&kept{connect: f.connect}, t.TempDir(), brief}, methods.Disk{
		Target: "vda",
		Source: methods.Source{RBD: &methods.RBDImage{Pool: "pool", Namespace: "ns", Image: "disk"}},
	}}
	t.Cleanup(s.nothingOpen)
	return s
}

// nothingOpen allows for work that was given up: it closes its handles a moment later.
func (s *stage) nothingOpen() {
	for end := time.Now().Add(10 * time.Second); s.handles() != 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := s.handles(); n != 0 {
		s.t.Errorf("%d handles are still open", n)
	}
}

func (s *stage) handles() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

func (s *stage) plan(ctx context.Context) methods.Ref {
	s.t.Helper()
	ref, err := s.method.Plan(ctx, methods.PlanRequest{Disk: s.disk, ID: "aaaa"})
	if err != nil {
		s.t.Fatal(err)
	}
	return ref
}

// taken is a snapshot that is there.
func (s *stage) taken() methods.Ref {
	s.t.Helper()
	ref := s.plan(s.t.Context())
	wantError(s.t, s.method.Take(s.t.Context(), ref), nil)
	return ref
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func (c fakeCluster) images() ([]string, error) { return []string{"disk"}, nil }

func (c fakeCluster) create(string, int64, bool) error { return methods.ErrExists }

func (c fakeCluster) remove(string) error { return methods.ErrNotFound }

func (f *fake) ReadAt(data []byte, offset int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return bytes.NewReader(f.now).ReadAt(data, offset)
}

func (f *fake) resize(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found.size = size
	return nil
}

func (f *fake) own() error { return nil }
