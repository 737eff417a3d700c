package lvm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func parseStore(text []byte, originChunks int64) (exceptions, error) {
	return readExceptions(store{bytes.NewReader(text), int64(len(text)), originChunks * cowChunk})
}

func TestReadExceptions(t *testing.T) {
	const perArea = cowChunk / exceptionBytes
	for _, n := range []int64{0, 1, perArea - 1, perArea, perArea + 1, 3*perArea + 7} {
		var want []int64
		for i := range n {
			want = append(want, 2*i)
		}
		written := slices.Clone(want)
		slices.Reverse(written)
		got, err := parseStore(storeWith(8<<20, written...), 2*n+1)
		if err != nil || got.chunk != cowChunk || !slices.Equal(got.old, want) {
			t.Errorf("%d chunks: got %d, %v", n, len(got.old), err)
		}
	}
}

func TestReadExceptionsRefuses(t *testing.T) {
	word := func(at int, value uint32) func([]byte) {
		return func(s []byte) { binary.LittleEndian.PutUint32(s[at:], value) }
	}
	long := func(at int, value uint64) func([]byte) {
		return func(s []byte) { binary.LittleEndian.PutUint64(s[at:], value) }
	}
	for what, spoil := range map[string]func([]byte){
		"magic":             word(0, 0),
		"invalid":           word(4, 0),
		"version":           word(8, 2),
		"no chunk":          word(12, 0),
		"odd chunk":         word(12, 24),
		"large chunk":       word(12, 1<<20),
		"beyond the origin": long(cowChunk, 10),
		"far beyond":        long(cowChunk, 1<<63),
		"beyond the store":  long(cowChunk+8, 256),
		"kept in an area":   long(cowChunk+8, 1),
		"twice":             long(cowChunk+16, 1),
	} {
		s := storeWith(1<<20, 1, 2)
		spoil(s)
		if _, err := parseStore(s, 10); !errors.Is(err, methods.ErrBroken) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestReadExceptionsEndless(t *testing.T) {
	const perArea = cowChunk / exceptionBytes
	var all []int64
	for i := range int64(perArea) {
		all = append(all, i)
	}
	if _, err := parseStore(storeWith((2+perArea)*cowChunk, all...), perArea); !errors.Is(err, methods.ErrBroken) {
		t.Errorf("got %v", err)
	}
}

func TestMissingFrom(t *testing.T) {
	for _, c := range []struct {
		chunk, other int64
		old, kept    []int64
		want         int64
	}{
		{4096, 4096, []int64{1, 2, 3}, []int64{2}, 2},
		{4096, 4096, nil, nil, 0},
		{4096, 16384, []int64{0, 1, 2, 3, 4}, nil, 2},
		{4096, 16384, []int64{0, 1, 4}, []int64{1}, 1},
		{16384, 4096, []int64{1}, []int64{4, 5}, 2},
	} {
		got := exceptions{c.chunk, c.old}.missingFrom(exceptions{c.other, c.kept})
		if got != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
}
