package export_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/export"
)

// many are more pieces than wait for each other, small ones and one that is cut.
func many() []methods.Extent {
	var all []methods.Extent
	for at := int64(100); at < 1<<20; at += 64 << 10 {
		all = append(all, methods.Extent{Offset: at, Length: 1000 + at%7})
	}
	return append(all, methods.Extent{Offset: 1<<20 + 5, Length: size - 1<<20 - 5})
}

func inFile(t *testing.T, data []byte) methods.Content {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return methods.Bounded(f, size)
}

// TestReadGivesEachPieceInItsOrder: what was given is over by then, so that a buffer can be used again.
func TestReadGivesEachPieceInItsOrder(t *testing.T) {
	data := newer()
	for name, from := range map[string]methods.Content{
		"memory": content{bytes.NewReader(data)}, "file": inFile(t, data), "gathered": gathering{content{bytes.NewReader(data)}, new([][2]int64)},
	} {
		got, at := make([]byte, size), int64(0)
		err := export.Read(t.Context(), from, many(), func(piece []byte, offset int64) error {
			if offset < at || len(piece) > 1<<20 {
				t.Errorf("%s: %d bytes at %d after %d", name, len(piece), offset, at)
			}
			copy(got[offset:], piece)
			at = offset + int64(len(piece))
			clear(piece)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range many() {
			if !bytes.Equal(got[e.Offset:e.End()], data[e.Offset:e.End()]) {
				t.Errorf("%s: another content at %d", name, e.Offset)
			}
		}
	}
}

func TestReadFailsWhereTheContentEnds(t *testing.T) {
	short := newer()[:size-1]
	for name, from := range map[string]methods.Content{"memory": content{bytes.NewReader(short)}, "file": inFile(t, short)} {
		err := export.Read(t.Context(), from, many(), func([]byte, int64) error { return nil })
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}
