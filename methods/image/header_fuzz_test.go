package image_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/domsnap/domsnap/integration/bounds"
	"github.com/domsnap/domsnap/methods/image"
)

// memory is an image that grows as a file does.
type memory struct{ text []byte }

func (m *memory) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(m.text).ReadAt(p, at)
}

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	if end := at + int64(len(p)); end > int64(len(m.text)) {
		return 0, io.ErrShortWrite
	}
	return copy(m.text[at:], p), nil
}

// overlayOf is the beginning of a version 3 overlay of "base", with a table of one entry behind it.
func overlayOf(entry uint64) []byte {
	text := make([]byte, 520)
	copy(text, "QFI\xfb")
	binary.BigEndian.PutUint32(text[4:], 3)
	binary.BigEndian.PutUint64(text[8:], 136)
	binary.BigEndian.PutUint32(text[16:], 4)
	binary.BigEndian.PutUint32(text[36:], 1)
	binary.BigEndian.PutUint64(text[40:], 512)
	binary.BigEndian.PutUint32(text[100:], 104)
	binary.BigEndian.PutUint32(text[104:], 0xe2792aca)
	binary.BigEndian.PutUint32(text[108:], 3)
	copy(text[112:], "raw")
	copy(text[136:], "base")
	binary.BigEndian.PutUint64(text[512:], entry)
	return text
}

// TestEmptyOverlayHasNothing: and it is the overlay of what it was.
func TestEmptyOverlayHasNothing(t *testing.T) {
	overlay := &memory{overlayOf(1 << 63)}
	if written, err := image.Written(overlay); err != nil || !written {
		t.Errorf("one with an entry is written: %v, %v", written, err)
	}
	if err := image.Empty(overlay); err != nil {
		t.Fatal(err)
	}
	if written, err := image.Written(overlay); err != nil || written {
		t.Errorf("an empty one is written: %v, %v", written, err)
	}
	if !bytes.Equal(overlay.text, overlayOf(0)) {
		t.Error("more than the table was changed")
	}
	if err := image.CheckOverlay(overlay, "base", "raw"); err != nil {
		t.Error(err)
	}
}

// FuzzHeader reads headers of others. What can be emptied is empty then.
func FuzzHeader(f *testing.F) {
	for _, seed := range [][]byte{nil, []byte("QFI\xfb"), overlayOf(0), overlayOf(1), overlayOf(1)[:512]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		bounds.Within(t, func() {
			m := &memory{bytes.Clone(text)}
			_, _ = image.IsQcow2(m)
			_ = image.CheckOverlay(m, "base", "raw")
			before, err := image.Written(m)
			if image.Empty(m) != nil || err != nil {
				return
			}
			if after, err := image.Written(m); err == nil && after {
				t.Errorf("it is not empty; it was written before: %v", before)
			}
		})
	})
}
