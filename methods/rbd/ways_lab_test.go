//go:build lab && rbd

package rbd

import (
	"math/rand"
	"testing"

	"github.com/ceph/go-ceph/rbd"

	"github.com/domsnap/domsnap/methods"
)

// TestLabRevertGoesByHowMuchHasChanged: little is copied, much is left to Ceph's own rollback.
func TestLabRevertGoesByHowMuchHasChanged(t *testing.T) {
	b := newBench(t, 1024*mebibyte)
	b.writeFirst(256*mebibyte, mebibyte)
	b.take("elder")
	ref := b.take("aaaa")
	b.wantEldersKnown(ref)
	before := b.sum("")
	for _, c := range []struct {
		stride int64
		how    methods.How
	}{{50 * mebibyte, methods.HowChangedExtents}, {2 * mebibyte, methods.HowNative}} {
		b.writeFirst(256*mebibyte, c.stride)
		if done := b.revert(ref); done.How != c.how {
			t.Errorf("with 1 MiB in each %d MiB changed it went %s, want %s", c.stride/mebibyte, done.How, c.how)
		}
		if b.sum("") != before {
			t.Error("the image is not as it was")
		}
	}
}

// wantEldersKnown wants the snapshot to have what lets fast-diff be believed: without it a revert asks every object.
func (b *bench) wantEldersKnown(ref methods.Ref) {
	b.t.Helper()
	p, err := recorded(ref)
	must(b.t, err)
	image, err := b.conn.read(p.Image)
	must(b.t, err)
	now, err := image.describe()
	must(b.t, err)
	if _, known, err := eldest(image, p, now); !known || err != nil {
		b.t.Errorf("the elders of %s are not known: %v", ref.Name, err)
	}
	must(b.t, image.close())
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
