package export_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/export"
)

// gathering is a content of which extents are read together; sizes says of how many, and of how many bytes, a call was.
type gathering struct {
	content
	sizes *[][2]int64
}

func (g gathering) ReadExtents(extents []methods.Extent, data []byte) error {
	*g.sizes = append(*g.sizes, [2]int64{int64(len(extents)), int64(len(data))})
	return methods.EachPart(extents, data, g.ReadAt)
}

func TestReadGathersWhatIsSmallAndNoMoreThanFits(t *testing.T) {
	disk := make([]byte, 24<<20)
	for i := range disk {
		disk[i] = byte(i >> 9 * 7)
	}
	var extents []methods.Extent
	for i := range int64(40) {
		extents = append(extents, methods.Extent{Offset: i * 100 << 10, Length: 4 << 10})
	}
	extents = append(extents, methods.Extent{Offset: 8<<20 + 512, Length: 15 << 20})
	g, at := gathering{content{bytes.NewReader(disk)}, new([][2]int64)}, int64(0)
	err := export.Read(t.Context(), g, extents, func(data []byte, offset int64) error {
		if offset < at || !bytes.Equal(data, disk[offset:offset+int64(len(data))]) {
			t.Errorf("%d bytes at %d are others, or come after %d", len(data), offset, at)
		}
		at = offset + int64(len(data))
		return nil
	})
	if err != nil || at != 23<<20+512 {
		t.Errorf("it ended at %d: %v", at, err)
	}
	want := [][2]int64{{16, 16 * 4 << 10}, {16, 16 * 4 << 10}, {15, 8*4<<10 + 7<<20 - 512}, {8, 8 << 20}, {1, 512}}
	if diff := cmp.Diff(want, *g.sizes); diff != "" {
		t.Error(diff)
	}
}

func TestReadGatheredTellsWhereItFailed(t *testing.T) {
	g := gathering{content{bytes.NewReader(make([]byte, 4096))}, new([][2]int64)}
	err := export.Read(t.Context(), g, []methods.Extent{{Offset: 1024, Length: 4096}}, func([]byte, int64) error { return nil })
	if err == nil || err.Error() != "read 1 extents from 1024: EOF" {
		t.Errorf("got %v", err)
	}
}
