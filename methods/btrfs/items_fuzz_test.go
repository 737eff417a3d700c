package btrfs

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/bounds"
	"github.com/domsnap/domsnap/methods"
)

// realItem is an item as the kernel hands it out, of a file extent.
func realItem(kind byte, offset uint64) []byte {
	item := make([]byte, searchHeaderSize+itemSize)
	binary.NativeEndian.PutUint64(item[16:], offset)
	binary.NativeEndian.PutUint32(item[28:], itemSize)
	body := item[searchHeaderSize:]
	body[20] = kind
	binary.LittleEndian.PutUint64(body[21:], 1<<20)
	binary.LittleEndian.PutUint64(body[45:], 4096)
	return item
}

// FuzzAppendItems reads what the kernel says of a file, cut off and spoiled.
func FuzzAppendItems(f *testing.F) {
	one := realItem(itemRegular, 0)
	f.Add(uint32(1), one)
	f.Add(uint32(3), bytes.Join([][]byte{one, realItem(itemPrealloc, 4096), realItem(itemInline, 8192)}, nil))
	f.Add(uint32(2), append(bytes.Clone(one), one...))
	f.Add(uint32(1), realItem(itemRegular, 1<<63))
	f.Add(^uint32(0), []byte{})
	f.Fuzz(func(t *testing.T, count uint32, answer []byte) {
		const size = 1 << 30
		args := &treeSearchArgs{count: count}
		copy(args.answer[:], answer)
		var found []extent
		var err error
		bounds.Within(t, func() { found, _, err = args.appendItems(nil, size) })
		if err != nil && found != nil {
			t.Errorf("%v with %v", err, found)
		}
		checkExtents(t, found, size)
	})
}

// checkExtents: whatever the file system says, the list that goes on is ascending, apart and inside the file.
func checkExtents(t *testing.T, found []extent, size int64) {
	t.Helper()
	end := int64(0)
	for _, e := range found {
		if e.offset < end || e.length <= 0 || e.length > size-e.offset || e.kind == zeroes {
			t.Fatalf("%+v after %d in a file of %d bytes", e, end, size)
		}
		end = e.end()
	}
}

// FuzzAppendPage reads pages of FIEMAP.
func FuzzAppendPage(f *testing.F) {
	page := func(numbers ...uint64) []byte { return binary.NativeEndian.AppendUint64(nil, numbers[0]) }
	f.Add(page(0), int64(0))
	f.Add(rawPage(fiemapExtent{logical: 0, physical: 1 << 20, length: 4096}, fiemapExtent{logical: 8192, length: 4096, flags: fiemapUnwritten}), int64(0))
	f.Add(rawPage(fiemapExtent{logical: 0, physical: 1 << 20, length: 1 << 63}, fiemapExtent{logical: 4096, length: 1, flags: 2}), int64(8192))
	f.Add(rawPage(fiemapExtent{logical: 1 << 63, length: ^uint64(0)}), int64(1<<20))
	f.Fuzz(func(t *testing.T, raw []byte, from int64) {
		const size = 1 << 30
		if from < 0 || from > size {
			return
		}
		page := parsePage(raw)
		bounds.Within(t, func() {
			all, end := appendPage(nil, page, from, size)
			if end < from || end > size {
				t.Errorf("it goes on at %d after %d", end, from)
			}
			checkExtents(t, all, size)
		})
	})
}

func rawPage(extents ...fiemapExtent) []byte {
	var raw bytes.Buffer
	for _, e := range extents {
		// A bytes.Buffer takes everything.
		_ = binary.Write(&raw, binary.NativeEndian, []uint64{e.logical, e.physical, e.length, uint64(e.flags)})
	}
	return raw.Bytes()
}

func parsePage(raw []byte) []fiemapExtent {
	var page []fiemapExtent
	for ; len(raw) >= 32 && len(page) < fiemapPage; raw = raw[32:] {
		word := func(i int) uint64 { return binary.NativeEndian.Uint64(raw[8*i:]) }
		page = append(page, fiemapExtent{logical: word(0), physical: word(1), length: word(2), flags: uint32(word(3))})
	}
	return page
}

// FuzzDiffering compares two lists of extents: what it finds is ascending, apart and inside the file, and nothing of
// one file with itself but what is unknown.
func FuzzDiffering(f *testing.F) {
	f.Add(rawPage(fiemapExtent{physical: 1 << 20, length: 8192}), rawPage(fiemapExtent{physical: 1 << 20, length: 4096}))
	f.Add(rawPage(fiemapExtent{logical: 4096, length: 4096, flags: 2}), []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		const size = 1 << 30
		left, _ := appendPage(nil, parsePage(a), 0, size)
		right, _ := appendPage(nil, parsePage(b), 0, size)
		bounds.Within(t, func() {
			end := int64(-1)
			for _, e := range differing(left, right, size) {
				if e.Offset <= end || e.Length <= 0 || e.End() > size {
					t.Errorf("%+v after %d", e, end)
				}
				end = e.End()
			}
		})
		for _, e := range differing(left, left, size) {
			if w := (walk{left}); w.next(e.Offset).kind != unknown {
				t.Errorf("%+v differs from itself", e)
			}
		}
	})
}

// file is what is in a disk's file.
type file struct{ *bytes.Reader }

func (file) Name() string { return "disk.qcow2" }

// FuzzQcow2Capacity reads the header of a file that the guest may have written.
func FuzzQcow2Capacity(f *testing.F) {
	header := make([]byte, 104)
	copy(header, "QFI\xfb\x00\x00\x00\x03")
	binary.BigEndian.PutUint64(header[24:], 1<<20)
	f.Add(header)
	f.Add(append([]byte("QFI\xfb\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x68"), header[16:]...))
	f.Add(header[:79])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, header []byte) {
		bounds.Within(t, func() {
			if size, err := qcow2Capacity(file{bytes.NewReader(header)}); err == nil && size < 0 {
				t.Errorf("%d bytes", size)
			}
		})
	})
}

// entry is a name in the store.
type entry struct {
	name string
	kind fs.FileMode
}

func (e entry) Name() string               { return e.name }
func (e entry) IsDir() bool                { return e.kind.IsDir() }
func (e entry) Type() fs.FileMode          { return e.kind }
func (e entry) Info() (fs.FileInfo, error) { return nil, fs.ErrInvalid }

// FuzzObjectOf: of the names in the store only those that Plan gives are taken for a snapshot.
func FuzzObjectOf(f *testing.F) {
	for _, name := range []string{"ds-sone-vda", "ds-sone-vda.raw", "ds-sone-vda.qcow2", "ds-sone-vda.", "ds--vda", "-ds-sone-vda", "ds-sone-vda.raw\n", "ds-sone-vdb", "..", "ds-sone-vda.raw.raw"} {
		f.Add(name, true)
		f.Add(name, false)
	}
	f.Fuzz(func(t *testing.T, text string, regular bool) {
		kind := fs.ModeDir
		if regular {
			kind = 0
		}
		bounds.Within(t, func() {
			object, w := objectOf(entry{text, kind}, "vda")
			if object == "" {
				return
			}
			id := strings.TrimSuffix(strings.TrimPrefix(object, "ds-"), "-vda")
			if again, err := methods.ObjectName(id, "vda"); err != nil || again != object || !strings.HasPrefix(text, object) || w == nil {
				t.Errorf("%q is %q, %v", text, object, err)
			}
		})
	})
}

func TestWorstExtents(t *testing.T) {
	var page []fiemapExtent
	for n := range uint64(fiemapPage) {
		page = append(page, fiemapExtent{logical: 2 * n * 4096, physical: n * 4096, length: 4096})
	}
	bounds.Within(t, func() {
		all, _ := appendPage(nil, page, 0, 1<<40)
		differing(all, nil, 1<<40)
	})
}
