//go:build lab && rbd

package rbd

import (
	"math/rand"
	"sync"
	"testing"
	"time"

	"github.com/ceph/go-ceph/rbd"

	"github.com/domsnap/domsnap/methods"
)

// TestLabRevertFigures prints how long the ways back take on an image of 4 GiB of which 1 GiB was written: 2 % of it
// changed, half of it changed, and a clone of the snapshot made whole.
func TestLabRevertFigures(t *testing.T) {
	b := newBench(t, 4096*mebibyte)
	b.writeFirst(1024*mebibyte, mebibyte)
	ref := b.take("aaaa")
	before := b.sum("")
	for _, c := range []struct {
		stride int64
		how    methods.How
	}{{50 * mebibyte, methods.HowChangedExtents}, {2 * mebibyte, methods.HowNative}} {
		b.writeFirst(1024*mebibyte, c.stride)
		var done methods.Reverted
		took := timed(func() { done = b.revert(ref) })
		t.Logf("check and revert, 1 MiB in each %d MiB changed: %v, %s, %d bytes", c.stride/mebibyte, took, done.How, done.BytesWritten)
		if done.How != c.how {
			t.Errorf("went %s, want %s", done.How, c.how)
		}
		if b.sum("") != before {
			t.Error("the image is not as it was")
		}
	}
	t.Logf("clone and flatten: %v", timed(func() { b.cloneWhole("ds-aaaa-vda") }))
}

// writeFirst puts a megabyte into every stride of the image's first bytes.
func (b *bench) writeFirst(bytes, stride int64) {
	b.t.Helper()
	block := make([]byte, mebibyte)
	rand.New(rand.NewSource(stride)).Read(block)
	b.open(func(image *rbd.Image) {
		for at := int64(0); at < bytes; at += stride {
			_, err := image.WriteAt(block, at)
			must(b.t, err)
		}
		must(b.t, image.Flush())
	})
}

func timed(act func()) time.Duration {
	start := time.Now()
	act()
	return time.Since(start)
}

// cloneWhole does what the rbd command does, with Ceph's defaults.
func (b *bench) cloneWhole(snap string) {
	b.t.Helper()
	must(b.t, b.conn.conn.SetConfigOption("rbd_concurrent_management_ops", "10"))
	name := b.disk.Source.RBD.Image + "-clone"
	options := rbd.NewRbdImageOptions()
	defer options.Destroy()
	must(b.t, options.SetUint64(rbd.ImageOptionCloneFormat, 2))
	must(b.t, rbd.CloneImage(b.conn.ioctx, b.disk.Source.RBD.Image, snap, b.conn.ioctx, name, options))
	clone, err := rbd.OpenImage(b.conn.ioctx, name, rbd.NoSnapshot)
	must(b.t, err)
	must(b.t, clone.Flatten())
	must(b.t, clone.Close())
	b.t.Cleanup(func() { must(b.t, rbd.RemoveImage(b.conn.ioctx, name)) })
}

func TestLabTakeFigures(t *testing.T) {
	closed, open := newBench(t, 64*mebibyte), newBench(t, 64*mebibyte)
	open.open(func(image *rbd.Image) {
		fill(t, image, 1, mebibyte)
		for _, id := range []string{"aaaa", "bbbb", "cccc"} {
			time.Sleep(2500 * time.Millisecond)
			t.Logf("idle monitors, open elsewhere: %v", takes(open, id))
			time.Sleep(2500 * time.Millisecond)
			t.Logf("idle monitors, not open:       %v", takes(closed, id))
		}
		t.Logf("at once after another, open:     %v", takes(open, "dddd"))
		t.Logf("at once after another, not open: %v", takes(closed, "dddd"))
		var together sync.WaitGroup
		together.Go(func() { t.Logf("together, open:     %v", takes(open, "eeee")) })
		together.Go(func() { t.Logf("together, not open: %v", takes(closed, "eeee")) })
		together.Wait()
	})
}

// takes is how long the act alone is.
func takes(b *bench, id string) time.Duration {
	ref, err := b.method.Plan(b.t.Context(), methods.PlanRequest{Disk: b.disk, ID: id})
	must(b.t, err)
	ready, err := b.method.Prepare(b.t.Context(), []methods.Ref{ref})
	must(b.t, err)
	defer ready.Close(b.t.Context())
	return timed(func() { must(b.t, ready.Take(b.t.Context())) })
}
