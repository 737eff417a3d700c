package methods_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
)

var errPlanned = errors.New("planned")

// size is that of the rig's disk: more than the generic revert reads at a time, and no multiple of it.
const size = 3<<20 + 12345

// rig is a method in memory, its disk vda, and a snapshot of it.
type rig struct {
	*memory.Method
	t     *testing.T
	store *memory.Store
	disk  methods.Disk
	ref   methods.Ref
	// before is what the snapshot holds.
	before []byte
	disks  *watched
}

func newRig(t *testing.T, o memory.Options) *rig {
	t.Helper()
	r := &rig{t: t, store: memory.NewStore(), disk: diskAt("vda"), before: bytes.Repeat([]byte("before.."), size/8+1)[:size]}
	r.store.SetDisk(r.disk.Source.File, r.before)
	r.Method, r.disks = memory.New(r.store, o), &watched{Store: r.store}
	r.ref = r.taken("sone")
	return r
}

func diskAt(target string) methods.Disk {
	return methods.Disk{Target: target, Source: methods.Source{File: memory.Prefix + target}, Format: "raw"}
}

func (r *rig) plan(id string) methods.Ref {
	r.t.Helper()
	ref, err := r.Plan(r.t.Context(), methods.PlanRequest{Disk: r.disk, ID: id})
	if err != nil {
		r.t.Fatal(err)
	}
	return ref
}

func (r *rig) taken(id string) methods.Ref {
	r.t.Helper()
	ref := r.plan(id)
	if err := r.Take(r.t.Context(), ref); err != nil {
		r.t.Fatal(err)
	}
	return ref
}

// write changes some bytes of the disk.
func (r *rig) write(offsets ...int) {
	content := r.store.Disk(r.disk.Source.File)
	for _, at := range offsets {
		content[at]++
	}
	r.store.SetDisk(r.disk.Source.File, content)
}

func (r *rig) request() methods.RevertRequest {
	return methods.RevertRequest{To: r.ref, Disk: r.disk, Disks: r.disks}
}

// revert checks and reverts by whatever way there is.
func (r *rig) revert(m methods.Method, req methods.RevertRequest) (methods.Reverted, error) {
	r.t.Helper()
	how, err := methods.CheckRevert(r.t.Context(), m, req)
	if err != nil {
		r.t.Fatalf("check the revert: %v", err)
	}
	req.How = how
	return methods.Revert(r.t.Context(), m, req)
}

func (r *rig) wantReverted(want bool) {
	r.t.Helper()
	if got := bytes.Equal(r.store.Disk(r.disk.Source.File), r.before); got != want {
		r.t.Errorf("the disk is back: %t, want %t", got, want)
	}
}

// watched opens disks and remembers what was done with them.
type watched struct {
	*memory.Store
	mu            sync.Mutex
	read, written []methods.Extent
	open          int
	// readError and closeError are what reading a disk and closing it answer.
	readError, closeError error
	grown                 int64
}

func (w *watched) OpenDisk(ctx context.Context, d methods.Disk) (methods.Writable, error) {
	disk, err := w.Store.OpenDisk(ctx, d)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open++
	return watchedDisk{disk, w}, nil
}

type watchedDisk struct {
	methods.Writable
	w *watched
}

func (d watchedDisk) Size() int64 { return d.Writable.Size() + d.w.grown }

func (d watchedDisk) ReadAt(p []byte, offset int64) (int, error) {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.w.read = append(d.w.read, methods.Extent{Offset: offset, Length: int64(len(p))})
	if d.w.readError != nil {
		return 0, d.w.readError
	}
	return d.Writable.ReadAt(p, offset)
}

func (d watchedDisk) WriteAt(p []byte, offset int64) (int, error) {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.w.written = append(d.w.written, methods.Extent{Offset: offset, Length: int64(len(p))})
	return d.Writable.WriteAt(p, offset)
}

func (d watchedDisk) Close() error {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.w.open--
	return errors.Join(d.w.closeError, d.Writable.Close())
}
