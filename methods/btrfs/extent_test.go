package btrfs

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/domsnap/domsnap/methods"
)

func plain(offset, length int64, physical uint64) extent {
	return extent{offset: offset, length: length, kind: stored, physical: physical}
}

func packed(offset, length int64, position, whole uint64) extent {
	return extent{offset: offset, length: length, kind: stored, physical: position, compressed: whole}
}

func TestDiffering(t *testing.T) {
	one := []extent{plain(0, 100, 1000)}
	tests := map[string]struct {
		a, b []extent
		want []methods.Extent
	}{
		"both empty":             {nil, nil, nil},
		"same":                   {one, one, nil},
		"split":                  {one, []extent{plain(0, 30, 1000), plain(30, 70, 1030)}, nil},
		"bookend":                {one, []extent{plain(0, 30, 1000), plain(30, 10, 5000), plain(40, 60, 1040)}, []methods.Extent{{Offset: 30, Length: 10}}},
		"same address elsewhere": {one, []extent{plain(0, 50, 1050), plain(50, 50, 1050)}, []methods.Extent{{Offset: 0, Length: 50}}},
		"hole and data":          {one, []extent{plain(50, 50, 1050)}, []methods.Extent{{Offset: 0, Length: 50}}},
		"hole and preallocated":  {nil, []extent{{offset: 10, length: 50}}, nil},
		"preallocated and data":  {[]extent{{offset: 0, length: 100}}, one, []methods.Extent{{Offset: 0, Length: 100}}},
		"neighbours are one":     {one, []extent{plain(0, 50, 1), plain(50, 50, 7000)}, []methods.Extent{{Offset: 0, Length: 100}}},
		"behind the end":         {one, []extent{plain(0, 100, 1000), plain(100, 900, 1)}, nil},
		"unknown is never same":  {[]extent{{length: 20, kind: unknown}}, []extent{{length: 20, kind: unknown}}, []methods.Extent{{Offset: 0, Length: 20}}},
		"compressed":             {[]extent{packed(0, 100, 0, 9000)}, []extent{packed(0, 40, 0, 9000), packed(40, 60, 40, 9000)}, nil},
		"compressed, other part": {[]extent{packed(0, 50, 0, 9000)}, []extent{packed(0, 50, 50, 9000)}, []methods.Extent{{Offset: 0, Length: 50}}},
		"compressed and not":     {[]extent{packed(0, 50, 0, 9000)}, []extent{plain(0, 50, 9000)}, []methods.Extent{{Offset: 0, Length: 50}}},
	}
	for name, tt := range tests {
		for _, sides := range [][2][]extent{{tt.a, tt.b}, {tt.b, tt.a}} {
			if got := differing(sides[0], sides[1], 100); !slices.Equal(got, tt.want) {
				t.Errorf("%s: %v, want %v", name, got, tt.want)
			}
		}
	}
}

const modelSize = 64

// drawFile makes up a file: few addresses, so that many are shared by chance.
func drawFile(t *rapid.T, name string) []extent {
	var file []extent
	for at := int64(0); at < modelSize+8; {
		length := rapid.Int64Range(1, 12).Draw(t, name+" length")
		e := extent{offset: at, length: length, kind: rapid.SampledFrom([]kind{zeroes, stored, stored, stored, unknown}).Draw(t, name+" kind")}
		if e.kind == stored {
			e.physical = rapid.Uint64Range(1, 4).Draw(t, name+" physical")*16 + uint64(at)
			e.compressed = rapid.Uint64Range(0, 2).Draw(t, name+" compressed")
		}
		if rapid.IntRange(0, 4).Draw(t, name+" hole") > 0 {
			file = append(file, e)
		}
		at += length
	}
	return file
}

// content is what the bytes of a file are, when all addresses hold something else.
func content(file []extent, side int) [modelSize][3]uint64 {
	var bytes [modelSize][3]uint64
	for _, e := range file {
		for i := range e.length {
			if e.offset+i >= modelSize {
				break
			}
			switch at := e.from(e.offset + i); e.kind {
			case stored:
				bytes[at.offset] = [3]uint64{1, at.physical, at.compressed}
			case unknown:
				bytes[at.offset] = [3]uint64{2, uint64(at.offset), uint64(side)}
			}
		}
	}
	return bytes
}

// The list is exact in the model: every address holds something else, and what is unknown always differs.
func TestDifferingIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawFile(t, "a"), drawFile(t, "b")
		if rapid.Bool().Draw(t, "alike") {
			b = slices.Concat(a[:len(a)/2], b[min(len(b), len(a)/2):])
			slices.SortFunc(b, func(x, y extent) int { return int(x.offset - y.offset) })
			b = apart(b)
		}
		if rapid.Bool().Draw(t, "joined") {
			var whole []extent
			for _, e := range a {
				whole = joined(whole, e)
			}
			a = whole
		}
		found := differing(a, b, modelSize)
		var listed [modelSize]bool
		end := int64(-1)
		for _, e := range found {
			if e.Offset <= end || e.Length <= 0 || e.End() > modelSize {
				t.Fatalf("extents are not ascending, apart and inside: %v", found)
			}
			for end = e.Offset; end < e.End(); end++ {
				listed[end] = true
			}
		}
		x, y := content(a, 0), content(b, 1)
		for i := range listed {
			if listed[i] != (x[i] != y[i]) {
				t.Fatalf("byte %d: %v and %v, listed %v", i, x[i], y[i], listed[i])
			}
		}
	})
}

func TestJoined(t *testing.T) {
	var got []extent
	for _, e := range []extent{
		plain(0, 10, 100), plain(10, 10, 110), plain(20, 10, 0), packed(30, 10, 10, 500), packed(40, 10, 20, 500),
		packed(50, 10, 30, 600), {offset: 60, length: 10}, {offset: 70, length: 5, kind: unknown}, {offset: 75, length: 5, kind: unknown},
		plain(90, 10, 1000), plain(110, 10, 1020),
	} {
		got = joined(got, e)
	}
	want := []extent{
		plain(0, 20, 100), plain(20, 10, 0), packed(30, 20, 10, 500), packed(50, 10, 30, 600), {offset: 70, length: 10, kind: unknown},
		plain(90, 10, 1000), plain(110, 10, 1020),
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func apart(file []extent) []extent {
	var kept []extent
	for _, e := range file {
		if len(kept) == 0 || kept[len(kept)-1].end() <= e.offset {
			kept = append(kept, e)
		}
	}
	return kept
}
