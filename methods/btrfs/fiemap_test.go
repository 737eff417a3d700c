package btrfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

func TestFiemapFlags(t *testing.T) {
	tests := []struct {
		flags uint32
		want  kind
	}{
		{0, stored},
		{fiemapLast | fiemapMerged | fiemapShared, stored},
		{fiemapUnwritten | fiemapLast, zeroes},
		{0x0002, unknown},                   // UNKNOWN
		{0x0004 | 0x0002, unknown},          // DELALLOC
		{0x0008, unknown},                   // ENCODED
		{0x0080, unknown},                   // DATA_ENCRYPTED
		{0x0100 | 0x0200, unknown},          // NOT_ALIGNED, DATA_INLINE
		{0x0100 | 0x0400, unknown},          // NOT_ALIGNED, DATA_TAIL
		{0x0008 | fiemapUnwritten, unknown}, // a preallocated one is never encoded
		{1 << 31, unknown},
	}
	for _, tt := range tests {
		listed := fiemapExtent{logical: 4096, physical: 1 << 20, length: 8192, flags: tt.flags}
		if got := listed.extent(1 << 30); got.kind != tt.want || got.offset != 4096 || got.length != 8192 {
			t.Errorf("flags %x: %+v", tt.flags, got)
		}
	}
}

func TestFiemapPages(t *testing.T) {
	page := []fiemapExtent{
		{logical: 0, length: 4096, physical: 1000},
		{logical: 4096, length: 8192, physical: 50000},
		{logical: 16384, length: math.MaxUint64 - 16384, physical: 90000},
		{logical: 1 << 63, length: 4096},
	}
	got, at := appendPage(nil, page, 8192, 20000)
	want := []extent{plain(8192, 4096, 54096), plain(16384, 3616, 90000)}
	if !slices.Equal(got, want) || at != 20000 {
		t.Errorf("%+v up to %d, want %+v", got, at, want)
	}
	if got, at := appendPage(nil, page[:1], 4096, 20000); len(got) != 0 || at != 4096 {
		t.Errorf("a page that was there already: %+v up to %d", got, at)
	}
}

// The file system of the tests may or may not list extents.
func TestFiemapOfAFile(t *testing.T) {
	f := tempFile(t)
	_, err := f.WriteAt(bytes.Repeat([]byte{'x'}, 8192), 1<<20)
	must(t, err)
	got, err := fiemap(t.Context(), f, 1<<20+5000)
	if errors.Is(err, methods.ErrUnsupported) {
		t.Log(err)
		return
	}
	must(t, err)
	length := int64(0)
	for _, e := range got {
		if e.kind != stored || e.offset < 1<<20 {
			t.Errorf("unexpected extent %+v", e)
		}
		length += e.length
	}
	if length != 5000 {
		t.Errorf("the extents have %d bytes: %+v", length, got)
	}
	if found := differing(got, got, 1<<20+5000); len(found) > 0 {
		t.Errorf("a file differs from itself: %v", found)
	}
}

func TestFiemapIsUnsupported(t *testing.T) {
	f, err := os.Open("/proc/self/status")
	must(t, err)
	defer f.Close()
	_, err = fiemap(t.Context(), f, 4096)
	wantError(t, err, methods.ErrUnsupported)
}

func TestFileExtentItems(t *testing.T) {
	tests := []struct {
		name string
		item fileExtentItem
		want extent
	}{
		{"plain", fileExtentItem{Type: itemRegular, DiskBytenr: 5000, Offset: 10, Bytes: 90}, plain(4096, 90, 5010)},
		{"compressed", fileExtentItem{Type: itemRegular, Compression: 3, DiskBytenr: 5000, Offset: 10, Bytes: 90}, packed(4096, 90, 10, 5000)},
		{"hole", fileExtentItem{Type: itemRegular, Bytes: 90}, extent{}},
		{"preallocated", fileExtentItem{Type: itemPrealloc, DiskBytenr: 5000, Bytes: 90}, extent{}},
		{"encrypted", fileExtentItem{Type: itemRegular, Encryption: 1, DiskBytenr: 1, Bytes: 90}, extent{offset: 4096, length: 90, kind: unknown}},
		{"other", fileExtentItem{Type: 7, Bytes: math.MaxUint64}, extent{offset: 4096, length: 5904, kind: unknown}},
	}
	for _, tt := range tests {
		args := answered(t, itemSize, tt.item)
		got, next, err := args.appendItems(nil, 10000)
		if tt.want.length == 0 && len(got) == 0 && err == nil {
			continue
		}
		if err != nil || len(got) != 1 || got[0] != tt.want || next != 4097 {
			t.Errorf("%s: %+v up to %d, %v; want %+v", tt.name, got, next, err, tt.want)
		}
	}
	args := answered(t, inlineItemSize+4, fileExtentItem{Type: itemInline, RAMBytes: 4})
	got, _, err := args.appendItems(nil, 10000)
	if err != nil || len(got) != 1 || got[0] != (extent{offset: 4096, length: 4, kind: unknown}) {
		t.Errorf("inline: %+v, %v", got, err)
	}
	for _, cut := range []uint32{0, inlineItemSize - 1, itemSize - 1} {
		if got, _, err := answered(t, cut, fileExtentItem{Type: itemRegular}).appendItems(nil, 10000); err == nil {
			t.Errorf("an item of %d bytes: %+v", cut, got)
		}
	}
}

func answered(t *testing.T, length uint32, item fileExtentItem) *treeSearchArgs {
	args := &treeSearchArgs{count: 1}
	n, err := binary.Encode(args.answer[:], binary.NativeEndian, searchHeader{Offset: 4096, Type: extentDataKey, Length: length})
	must(t, err)
	_, err = binary.Encode(args.answer[n:], binary.LittleEndian, item)
	must(t, err)
	return args
}

func TestRealtimeOfAFile(t *testing.T) {
	got, err := realtime(tempFile(t))
	if got || err != nil && !errors.Is(err, unix.ENOTTY) && !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("a file is on the realtime device: %v, %v", got, err)
	}
}
