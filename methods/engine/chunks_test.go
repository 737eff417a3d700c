package engine

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
)

//go:embed example/domsnap-method-chunks
var example []byte

// storeSpec is the body of a descriptor that names a store.
type storeSpec string

func (storeSpec) Decode(any) error { return nil }

func (s storeSpec) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"attributes":{},"text":"","children":[{"name":"store","attributes":{"path":%q},"text":"","children":[]}]}`, string(s)), nil
}

// chunks is the example engine with a disk and a store in files.
type chunks struct {
	*Method
	t     *testing.T
	store string
	disk  methods.Disk
}

func newChunks(t *testing.T) *chunks {
	t.Helper()
	path := filepath.Join(t.TempDir(), Prefix+"chunks")
	must(t, os.WriteFile(path, example, 0o755))
	m := Load(t.Context(), File{Name: "chunks", Path: path}, DefaultLimits())
	if m.broken != nil {
		t.Fatal(m.broken)
	}
	c := &chunks{Method: m, t: t, store: t.TempDir(), disk: testDisk()}
	c.disk.Source.File = filepath.Join(t.TempDir(), "disk")
	return c
}

func (c *chunks) write(content []byte) {
	must(c.t, os.WriteFile(c.disk.Source.File, content, 0o600))
}

func (c *chunks) plan(id string) methods.Ref {
	c.t.Helper()
	ref, err := c.Plan(c.t.Context(), methods.PlanRequest{Disk: c.disk, ID: id, Spec: storeSpec(c.store)})
	must(c.t, err)
	return ref
}

func (c *chunks) taken(id string) methods.Ref {
	c.t.Helper()
	ref := c.plan(id)
	must(c.t, c.Take(c.t.Context(), ref))
	return ref
}

func (c *chunks) content(ref methods.Ref) []byte {
	c.t.Helper()
	content, err := c.Open(c.t.Context(), ref)
	must(c.t, err)
	all, err := io.ReadAll(io.NewSectionReader(content, 0, content.Size()))
	must(c.t, err)
	must(c.t, content.Close())
	return all
}

// objects are the files of the store, but for its lock.
func (c *chunks) objects() []string {
	c.t.Helper()
	files, err := filepath.Glob(c.store + "/*/*")
	must(c.t, err)
	return files
}

func noise(n int) []byte {
	r, b := rand.NewChaCha8([32]byte{1}), make([]byte, n)
	_, _ = r.Read(b)
	return b
}

func TestChunksKeepsContentOnceAndGivesItBack(t *testing.T) {
	wantNothingLeft(t)
	c := newChunks(t)
	const mib = 1 << 20
	before := slices.Concat(noise(mib), make([]byte, 2*mib), noise(mib), noise(mib/3))
	c.write(before)
	one := c.taken("sone")
	if got := len(c.objects()); got != 3 {
		t.Errorf("the store has %q", c.objects())
	}
	after := slices.Clone(before)
	after[0]++
	after[mib+5]++
	c.write(after)
	two := c.taken("stwo")
	if !bytes.Equal(c.content(one), before) || !bytes.Equal(c.content(two), after) {
		t.Error("the snapshots do not hold what the disk held")
	}
	extents, err := c.Changes(t.Context(), methods.ChangesRequest{From: one, To: &two, Disk: c.disk})
	wantSame(t, []methods.Extent{{Length: 2 * mib}}, extents, err)
	_, err = c.Changes(t.Context(), methods.ChangesRequest{From: one, Disk: c.disk})
	wantKind(t, err, methods.ErrUnsupported)
	info, err := c.Stat(t.Context(), two)
	wantSame(t, methods.Info{BytesUsed: 2 * mib}, info, err)
	for range 2 {
		must(t, c.Drop(t.Context(), methods.DropRequest{Ref: one, Disk: c.disk}))
	}
	if !bytes.Equal(c.content(two), after) {
		t.Error("a drop changed the other snapshot")
	}
	must(t, c.Drop(t.Context(), methods.DropRequest{Ref: two}))
	if left := c.objects(); len(left) > 0 {
		t.Errorf("the store still has %q", left)
	}
}

func TestChunksRefuses(t *testing.T) {
	wantNothingLeft(t)
	c, ctx := newChunks(t), t.Context()
	_, err := c.Plan(ctx, methods.PlanRequest{Disk: c.disk, ID: "sone", Spec: storeSpec(c.store)})
	wantKind(t, err, methods.ErrBlocked)
	c.write([]byte("small"))
	_, err = c.Plan(ctx, methods.PlanRequest{Disk: c.disk, ID: "sone"})
	wantKind(t, err, methods.ErrBlocked)
	_, err = c.Plan(ctx, methods.PlanRequest{Disk: c.disk, ID: "sone", Spec: storeSpec(c.store + "/none")})
	wantKind(t, err, methods.ErrBlocked)
	qcow2 := c.disk
	qcow2.Format = "qcow2"
	_, err = c.Plan(ctx, methods.PlanRequest{Disk: qcow2, ID: "sone", Spec: storeSpec(c.store)})
	wantKind(t, err, methods.ErrUnsupported)
	ref := c.plan("sone")
	_, err = c.Stat(ctx, ref)
	wantKind(t, err, methods.ErrNotFound)
	_, err = c.Open(ctx, ref)
	wantKind(t, err, methods.ErrNotFound)
	must(t, c.Take(ctx, ref))
	wantKind(t, c.Take(ctx, ref), methods.ErrExists)
	_, err = c.Plan(ctx, methods.PlanRequest{Disk: c.disk, ID: "sone", Spec: storeSpec(c.store)})
	wantKind(t, err, methods.ErrExists)
}

func TestChunksFindsWhatIsBroken(t *testing.T) {
	wantNothingLeft(t)
	c := newChunks(t)
	c.write(noise(1 << 20))
	ref := c.taken("sone")
	found, err := filepath.Glob(c.store + "/chunks/*")
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	must(t, os.WriteFile(found[0], noise(1<<20 + 1)[1:], 0o600))
	content, err := c.Open(t.Context(), ref)
	must(t, err)
	_, err = content.ReadAt(make([]byte, 5), 7)
	wantKind(t, err, methods.ErrBroken)
	must(t, content.Close())
	must(t, os.Remove(found[0]))
	_, err = c.Stat(t.Context(), ref)
	wantKind(t, err, methods.ErrBroken)
	must(t, os.WriteFile(ref.Name, []byte("12"), 0o600))
	_, err = c.Open(t.Context(), ref)
	wantKind(t, err, methods.ErrBroken)
}

func TestChunksInterruptedLeavesNoTraceAfterDrop(t *testing.T) {
	wantNothingLeft(t)
	c := newChunks(t)
	c.write(noise(3 << 20))
	ref := c.plan("sone")
	ready, err := c.Prepare(t.Context(), []methods.Ref{ref})
	must(t, err)
	if len(c.objects()) == 0 {
		t.Error("nothing was prepared")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantKind(t, ready.Take(ctx), context.Canceled)
	must(t, ready.Close(t.Context()))
	_, err = c.Stat(t.Context(), ref)
	wantKind(t, err, methods.ErrNotFound)
	must(t, c.Drop(t.Context(), methods.DropRequest{Ref: ref, Disk: c.disk}))
	if left := c.objects(); len(left) > 0 {
		t.Errorf("the store still has %q", left)
	}
}

// The drop of one snapshot must wait for those who count on the chunks they have just seen.
func TestChunksDropWaitsForATake(t *testing.T) {
	wantNothingLeft(t)
	c := newChunks(t)
	c.write(noise(1 << 20))
	one, two := c.taken("sone"), c.plan("stwo")
	ready, err := c.Prepare(t.Context(), []methods.Ref{two})
	must(t, err)
	dropped := make(chan error, 1)
	go func() { dropped <- c.Drop(context.WithoutCancel(t.Context()), methods.DropRequest{Ref: one}) }()
	time.Sleep(300 * time.Millisecond)
	must(t, ready.Take(t.Context()))
	must(t, ready.Close(t.Context()))
	must(t, <-dropped)
	if !bytes.Equal(c.content(two), noise(1<<20)) {
		t.Error("the chunk is gone")
	}
}

// fileDisks opens raw files for the generic revert.
type fileDisks struct{}

type fileDisk struct {
	*os.File
	size int64
}

func (f fileDisk) Size() int64 { return f.size }

func (fileDisks) OpenDisk(_ context.Context, d methods.Disk) (methods.Writable, error) {
	f, err := os.OpenFile(d.Source.File, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	return fileDisk{f, info.Size()}, err
}

func TestChunksIsRevertedInPlaceByDomsnap(t *testing.T) {
	wantNothingLeft(t)
	c := newChunks(t)
	before := slices.Concat(noise(3<<20), make([]byte, 1<<20))
	c.write(before)
	req := methods.RevertRequest{To: c.taken("sone"), Disk: c.disk, Disks: fileDisks{}}
	for range 2 {
		must(t, os.Truncate(c.disk.Source.File, 0))
		must(t, os.Truncate(c.disk.Source.File, int64(len(before))))
		var err error
		req.How, err = methods.CheckRevert(t.Context(), c, req)
		wantSame(t, methods.HowCompare, req.How, err)
		done, err := methods.Revert(t.Context(), c, req)
		wantSame(t, methods.Reverted{How: methods.HowCompare, BytesWritten: 3 << 20}, done, err)
		got, err := os.ReadFile(c.disk.Source.File)
		if err != nil || !bytes.Equal(got, before) {
			t.Errorf("the disk is not what it was: %v", err)
		}
	}
}

func TestChunksReadsInBulk(t *testing.T) {
	c := newChunks(t)
	const size = 64 << 20
	c.write(noise(size))
	ref := c.taken("sone")
	content, err := c.Open(t.Context(), ref)
	must(t, err)
	start := time.Now()
	n, err := io.Copy(io.Discard, io.NewSectionReader(readerOnly{content}, 0, size))
	took := time.Since(start)
	if err != nil || n != size {
		t.Fatal(n, err)
	}
	must(t, content.Close())
	t.Logf("an engine in Python is read with %.0f MB/s", float64(n)/1e6/took.Seconds())
}

// readerOnly makes io.Copy read in pieces of its own size.
type readerOnly struct{ io.ReaderAt }
