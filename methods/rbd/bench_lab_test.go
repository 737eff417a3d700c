//go:build lab && rbd

package rbd

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"testing"

	"github.com/ceph/go-ceph/rbd"

	"github.com/domsnap/domsnap/methods"
)

const mebibyte = 1 << 20

// bench is one image in pool rbd of the cluster that the default ceph.conf names.
type bench struct {
	t      *testing.T
	method *Method
	disk   methods.Disk
	conn   *connection
}

func newBench(t *testing.T, size int64) *bench {
	t.Helper()
	method := New()
	source := &methods.RBDImage{Pool: "rbd", Image: fmt.Sprintf("domsnap-test-%d", rand.Int63())}
	opened, err := connect(*source)
	must(t, err)
	b := &bench{t, method, methods.Disk{Target: "vda", Source: methods.Source{RBD: source}}, opened.(*connection)}
	options := rbd.NewRbdImageOptions()
	defer options.Destroy()
	must(t, rbd.CreateImage(b.conn.ioctx, source.Image, uint64(size), options))
	t.Cleanup(b.remove)
	return b
}

func (b *bench) remove() {
	b.removeImage()
	b.conn.close()
}

// removeImage also checks that the test left no watcher.
func (b *bench) removeImage() {
	b.nobody()
	b.open(func(image *rbd.Image) {
		snaps, err := image.GetSnapshotNames()
		must(b.t, err)
		for _, s := range snaps {
			must(b.t, image.GetSnapshot(s.Name).Remove())
		}
	})
	must(b.t, rbd.RemoveImage(b.conn.ioctx, b.disk.Source.RBD.Image))
}

func (b *bench) nobody() {
	b.t.Helper()
	image, err := b.conn.read(b.disk.Source.RBD.Image)
	must(b.t, err)
	defer image.close()
	by, err := image.users()
	must(b.t, err)
	if len(by.watchers) > 0 {
		b.t.Fatalf("still open in %v", by.watchers)
	}
}

func (b *bench) open(use func(*rbd.Image)) {
	b.t.Helper()
	image, err := b.conn.write(b.disk.Source.RBD.Image)
	must(b.t, err)
	defer image.close()
	use(image.(*writeImage).Image)
}

// write puts a megabyte made from the seed into every stride.
func (b *bench) write(seed, stride int64) {
	b.t.Helper()
	b.open(func(image *rbd.Image) { fill(b.t, image, seed, stride) })
}

func fill(t *testing.T, image *rbd.Image, seed, stride int64) {
	t.Helper()
	size, err := image.GetSize()
	must(t, err)
	block := make([]byte, mebibyte)
	rand.New(rand.NewSource(seed)).Read(block)
	for at := int64(0); at < int64(size); at += stride {
		_, err := image.WriteAt(block, at)
		must(t, err)
	}
	must(t, image.Flush())
}

func (b *bench) sum(snap string) (sum [sha256.Size]byte) {
	b.t.Helper()
	opened, err := b.conn.read(b.disk.Source.RBD.Image)
	must(b.t, err)
	defer opened.close()
	image := opened.(*readImage)
	must(b.t, image.move(snap))
	size, err := image.GetSize()
	must(b.t, err)
	hash := sha256.New()
	block := make([]byte, 4*mebibyte)
	for at := int64(0); at < int64(size); at += int64(len(block)) {
		n, err := image.ReadAt(block, at)
		if !errors.Is(err, io.EOF) {
			must(b.t, err)
		}
		hash.Write(block[:n])
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

func (b *bench) take(id string) methods.Ref {
	b.t.Helper()
	ref, err := b.method.Plan(b.t.Context(), methods.PlanRequest{Disk: b.disk, ID: id})
	must(b.t, err)
	must(b.t, b.method.Take(b.t.Context(), ref))
	return ref
}

func (b *bench) revert(ref methods.Ref) methods.Reverted {
	b.t.Helper()
	req := methods.RevertRequest{To: ref, Disk: b.disk}
	must(b.t, b.method.CheckRevert(b.t.Context(), req))
	done, err := b.method.Revert(b.t.Context(), req)
	must(b.t, err)
	return done
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
