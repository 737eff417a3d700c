//go:build lab && rbd

package rbd

import (
	"bytes"
	"errors"
	"math/rand"
	"strings"
	"testing"

	"github.com/ceph/go-ceph/rbd"

	"github.com/domsnap/domsnap/methods"
)

// odd is a size that ends within an object, and within any granularity of discards.
const odd = 256*mebibyte + 12345

// dataObjects counts the objects that hold the image's content.
func (b *bench) dataObjects() (count int) {
	b.t.Helper()
	b.open(func(image *rbd.Image) {
		id, err := image.GetId()
		must(b.t, err)
		must(b.t, b.conn.ioctx.ListObjects(func(name string) {
			if strings.HasPrefix(name, "rbd_data."+id+".") {
				count++
			}
		}))
	})
	return count
}

// wantBack reverts twice, and looks at every byte and at the room it takes.
func (b *bench) wantBack(ref methods.Ref, before [32]byte, objects int) {
	b.t.Helper()
	for _, again := range []bool{false, true} {
		done := b.revert(ref)
		b.t.Logf("%+v", done)
		if done.How != methods.HowChangedExtents {
			b.t.Errorf("went %s", done.How)
		}
		if b.sum("") != before {
			b.t.Errorf("the image is not as it was, again: %v", again)
		}
		if now := b.dataObjects(); now > objects {
			b.t.Errorf("%d objects, had %d", now, objects)
		}
	}
	b.nobody()
}

func TestLabRevertOfChangedExtents(t *testing.T) {
	scatter := func(t *testing.T, image *rbd.Image, size, stride int64) {
		data := make([]byte, size)
		rand.New(rand.NewSource(stride)).Read(data)
		for at := stride / 3; at+size < 128*mebibyte; at += stride {
			_, err := image.WriteAt(data, at)
			must(t, err)
		}
	}
	for name, change := range map[string]func(*testing.T, *rbd.Image){
		"nothing":        func(*testing.T, *rbd.Image) {},
		"small writes":   func(t *testing.T, i *rbd.Image) { scatter(t, i, 64<<10, 3*mebibyte) },
		"uneven writes":  func(t *testing.T, i *rbd.Image) { scatter(t, i, 777, mebibyte+321) },
		"one long write": func(t *testing.T, i *rbd.Image) { scatter(t, i, 20*mebibyte, 96*mebibyte) },
		"zeroes": func(t *testing.T, i *rbd.Image) {
			_, err := i.WriteAt(make([]byte, 3*mebibyte), 9*mebibyte+100)
			must(t, err)
		},
		"discards": func(t *testing.T, i *rbd.Image) {
			discard(t, i, 0, 4*mebibyte)
			discard(t, i, 9*mebibyte, mebibyte)
			discard(t, i, 21*mebibyte, 3*mebibyte)
			discard(t, i, 31*mebibyte+512, 5*mebibyte+1024)
		},
		"discarded and written again": func(t *testing.T, i *rbd.Image) {
			discard(t, i, 8*mebibyte, 4*mebibyte)
			_, err := i.WriteAt(bytes.Repeat([]byte{7}, 100), 9*mebibyte)
			must(t, err)
		},
		"new objects": func(t *testing.T, i *rbd.Image) {
			for at := int64(140 * mebibyte); at < 250*mebibyte; at += 5 * mebibyte {
				_, err := i.WriteAt(bytes.Repeat([]byte{8}, 4000), at)
				must(t, err)
			}
			_, err := i.WriteAt([]byte{9}, odd-1)
			must(t, err)
		},
		"shrunk and grown": func(t *testing.T, i *rbd.Image) {
			must(t, i.Resize(120*mebibyte+777))
			must(t, i.Resize(odd))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, odd)
			b.writeFirst(128*mebibyte, mebibyte)
			b.open(func(image *rbd.Image) { discard(t, image, 50*mebibyte, 9*mebibyte) })
			ref, before, objects := b.take("aaaa"), b.sum(""), b.dataObjects()
			b.open(func(image *rbd.Image) { change(t, image) })
			// The one that the end of the image cuts short may stay, empty.
			b.wantBack(ref, before, objects+1)
			if b.sum("ds-aaaa-vda") != before {
				t.Error("the snapshot changed")
			}
		})
	}
}

func discard(t *testing.T, image *rbd.Image, offset, length uint64) {
	t.Helper()
	_, err := image.Discard(offset, length)
	must(t, err)
}

// TestLabRevertAfterRollback has the object map say that nothing changed since a snapshot, which is not so.
func TestLabRevertAfterRollback(t *testing.T) {
	b := newBench(t, 64*mebibyte)
	b.writeFirst(64*mebibyte, mebibyte)
	b.take("aaaa")
	b.take("bbbb")
	b.writeFirst(64*mebibyte, 20*mebibyte)
	b.open(func(image *rbd.Image) { discard(t, image, 30*mebibyte, 5*mebibyte) })
	ref, before, objects := b.take("cccc"), b.sum(""), b.dataObjects()
	b.open(func(image *rbd.Image) { must(t, image.GetSnapshot("ds-bbbb-vda").Rollback()) })
	if b.sum("") == before {
		t.Fatal("the rollback did nothing")
	}
	image, err := b.conn.read(b.disk.Source.RBD.Image)
	must(t, err)
	defer image.close()
	mapped, err := image.changed("ds-cccc-vda", "")
	must(t, err)
	t.Logf("changed, says the object map: %v", mapped)
	b.wantBack(ref, before, objects)
}

func TestLabRevertOfCloneIsRollback(t *testing.T) {
	b := newBench(t, 16*mebibyte)
	b.writeFirst(16*mebibyte, mebibyte)
	b.take("aaaa")
	b.cloneWith("ds-aaaa-vda", func(c *bench) {
		c.writeFirst(16*mebibyte, 16*mebibyte)
		ref, before := c.take("bbbb"), c.sum("")
		c.writeFirst(8*mebibyte, 4*mebibyte)
		if done := c.revert(ref); done.How != methods.HowNative || c.sum("") != before {
			t.Errorf("went %s, or the image is not as it was", done.How)
		}
	})
}

// TestLabExtents writes and reads many at once, of the present and of a snapshot, and none behind the end.
func TestLabExtents(t *testing.T) {
	b := newBench(t, 16*mebibyte)
	data := make([]byte, 40*9000)
	rand.New(rand.NewSource(7)).Read(data)
	var extents []methods.Extent
	for i := range int64(40) {
		extents = append(extents, methods.Extent{Offset: i * 400_000, Length: 9000})
	}
	want := func(from methods.Gathering) {
		t.Helper()
		got := make([]byte, len(data))
		must(t, from.ReadExtents(extents, got))
		if !bytes.Equal(got, data) {
			t.Error("what was read is not what was written")
		}
	}
	image, err := b.conn.write(b.disk.Source.RBD.Image)
	must(t, err)
	must(t, image.WriteExtents(extents, data))
	want(image)
	behind := []methods.Extent{extents[0], {Offset: 16*mebibyte - 10, Length: 20}}
	if err := image.ReadExtents(behind, make([]byte, 9020)); err == nil {
		t.Error("it read behind the end")
	}
	must(t, errors.Join(image.flush(), image.close()))
	taken := b.take("aaaa")
	b.writeFirst(16*mebibyte, mebibyte)
	content, err := b.method.Open(t.Context(), taken)
	must(t, err)
	want(content.(methods.Gathering))
	must(t, content.Close())
}

// cloneWith has a clone for a while.
func (b *bench) cloneWith(snap string, use func(*bench)) {
	b.t.Helper()
	options := rbd.NewRbdImageOptions()
	defer options.Destroy()
	must(b.t, options.SetUint64(rbd.ImageOptionCloneFormat, 2))
	source := *b.disk.Source.RBD
	source.Image += "-clone"
	must(b.t, rbd.CloneImage(b.conn.ioctx, b.disk.Source.RBD.Image, snap, b.conn.ioctx, source.Image, options))
	clone := *b
	clone.disk.Source.RBD = &source
	use(&clone)
	clone.removeImage()
}

// wantChanges compares what Changes says with what is different.
func (b *bench) wantChanges(from methods.Ref, to *methods.Ref) {
	b.t.Helper()
	got, err := b.method.Changes(b.t.Context(), methods.ChangesRequest{From: from, To: to, Disk: b.disk})
	must(b.t, err)
	before, after := b.content(from), b.present()
	if to != nil {
		after = b.content(*to)
	}
	for _, e := range got {
		copy(before[e.Offset:e.End()], after[e.Offset:e.End()])
	}
	if !bytes.Equal(before, after) {
		b.t.Errorf("more differs than %v", got)
	}
	b.t.Logf("changes: %v", got)
}

// content reads a snapshot as the method opens it.
func (b *bench) content(ref methods.Ref) []byte {
	b.t.Helper()
	c, err := b.method.Open(b.t.Context(), ref)
	must(b.t, err)
	data := make([]byte, c.Size())
	_, err = c.ReadAt(data, 0)
	must(b.t, errors.Join(err, c.Close()))
	return data
}

func (b *bench) present() []byte {
	b.t.Helper()
	var data []byte
	b.open(func(image *rbd.Image) {
		size, err := image.GetSize()
		must(b.t, err)
		data = make([]byte, size)
		_, err = image.ReadAt(data, 0)
		must(b.t, err)
	})
	return data
}

func TestLabChanges(t *testing.T) {
	b := newBench(t, 64*mebibyte)
	b.writeFirst(32*mebibyte, mebibyte)
	first := b.take("aaaa")
	b.wantChanges(first, nil)
	b.writeFirst(48*mebibyte, 20*mebibyte)
	b.open(func(image *rbd.Image) { discard(t, image, 30*mebibyte, 5*mebibyte) })
	second := b.take("bbbb")
	b.writeFirst(4*mebibyte, mebibyte)
	third := b.take("cccc")
	b.wantChanges(first, nil)
	b.wantChanges(second, nil)
	b.wantChanges(first, &third)
	b.wantChanges(third, &second)
	// Another's rollback, to a snapshot that is older than two of ours.
	b.open(func(image *rbd.Image) { must(t, image.GetSnapshot("ds-aaaa-vda").Rollback()) })
	b.wantChanges(first, nil)
	b.wantChanges(second, nil)
	b.wantChanges(third, nil)
	fourth := b.take("dddd")
	b.wantChanges(second, &fourth)
	// And that snapshot is gone.
	must(t, b.method.Drop(t.Context(), methods.DropRequest{Ref: first, Disk: b.disk}))
	b.wantChanges(second, nil)
	b.wantChanges(third, &fourth)
	b.wantChanges(third, nil)
}
