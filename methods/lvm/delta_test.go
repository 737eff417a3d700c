package lvm

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

const (
	deltaBegin = `<superblock uuid="" time="2" transaction="3" data_block_size="128" nr_data_blocks="2000"><diff left="1" right="2">`
	deltaEnd   = `</diff></superblock>`
)

func readDelta(text string, size int64) ([]methods.Extent, error) {
	return delta{left: "1", right: "2", size: size, most: 3}.read(strings.NewReader(text))
}

func TestReadDelta(t *testing.T) {
	const block = 64 << 10
	for items, want := range map[string][]methods.Extent{
		"": {},
		"\n  <same begin=\"0\" length=\"10\"/>\n":                                                                     {},
		`<same begin="0" length="3"/><different begin="3" length="1"/><same begin="4" length="6"/>`:                   {{Offset: 3 * block, Length: block}},
		`<left_only begin="1" length="1"/><right_only begin="2" length="1"/><different begin="3" length="1"/>`:        {{Offset: block, Length: 3 * block}},
		`<left_only begin="1" length="1"/><right_only begin="4" length="1"/>`:                                         {{Offset: block, Length: block}, {Offset: 4 * block, Length: block}},
		`<different begin="9" length="100"/>`:                                                                         {{Offset: 9 * block, Length: block + 4096}},
		`<different begin="10" length="1"/><different begin="20" length="1"/>`:                                        {{Offset: 10 * block, Length: 4096}},
		`<different begin="0" length="18446744073709551615"/>`:                                                        {{Offset: 0, Length: 10*block + 4096}},
		`<different begin="18446744073709551614" length="1"/>`:                                                        {},
		`<different begin="1" length="1"></different><!-- a remark --><same begin="2" length="9000000000000000000"/>`: {{Offset: block, Length: block}},
	} {
		got, err := readDelta(deltaBegin+items+deltaEnd, 10*block+4096)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v; want %v", items, got, err, want)
		}
	}
}

func TestReadDeltaRefuses(t *testing.T) {
	const whole = deltaBegin + `<different begin="3" length="1"/>` + deltaEnd
	for end := range len(whole) {
		if got, err := readDelta(whole[:end], 1<<20); !errors.Is(err, methods.ErrUnsupported) {
			t.Errorf("ends after %q: %v, %v", whole[:end], got, err)
		}
	}
	for what, text := range map[string]string{
		"twice":        whole + whole,
		"two lists":    strings.ReplaceAll(whole, "</superblock>", `<diff left="1" right="2"/></superblock>`),
		"other left":   strings.ReplaceAll(whole, `left="1"`, `left="3"`),
		"other right":  strings.ReplaceAll(whole, `right="2"`, `right="1"`),
		"roots":        strings.ReplaceAll(whole, `left="1"`, `left_root="1"`),
		"no block":     strings.ReplaceAll(whole, `data_block_size="128"`, ``),
		"block 0":      strings.ReplaceAll(whole, `data_block_size="128"`, `data_block_size="0"`),
		"odd block":    strings.ReplaceAll(whole, `data_block_size="128"`, `data_block_size="129"`),
		"huge block":   strings.ReplaceAll(whole, `data_block_size="128"`, `data_block_size="18446744073709551616"`),
		"large block":  strings.ReplaceAll(whole, `data_block_size="128"`, `data_block_size="4194304"`),
		"empty":        strings.ReplaceAll(whole, `length="1"`, `length="0"`),
		"negative":     strings.ReplaceAll(whole, `begin="3"`, `begin="-3"`),
		"no begin":     strings.ReplaceAll(whole, `begin="3"`, ``),
		"overflow":     strings.ReplaceAll(whole, `length="1"`, `length="18446744073709551615"`),
		"wrong order":  deltaBegin + `<different begin="3" length="2"/><same begin="4" length="1"/>` + deltaEnd,
		"unknown":      deltaBegin + `<moved begin="3" length="2"/>` + deltaEnd,
		"inner":        deltaBegin + `<same begin="3" length="2"><different begin="5" length="1"/></same>` + deltaEnd,
		"verbose":      deltaBegin + `<different><range begin="3" length="1"/></different>` + deltaEnd,
		"text":         deltaBegin + `metadata contains errors` + deltaEnd,
		"no list":      `<superblock data_block_size="128"></superblock>`,
		"bare":         `<diff left="1" right="2"></diff>`,
		"entity":       deltaBegin + `&all;` + deltaEnd,
		"doctype":      `<!DOCTYPE superblock [<!ENTITY all "x">]>` + whole,
		"many":         deltaBegin + strings.Repeat(`<x>`, 1<<16),
		"many extents": deltaBegin + `<different begin="0" length="1"/><different begin="2" length="1"/><different begin="4" length="1"/><different begin="6" length="1"/>` + deltaEnd,
	} {
		if got, err := readDelta(text, 1<<20); !errors.Is(err, methods.ErrUnsupported) {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
}
