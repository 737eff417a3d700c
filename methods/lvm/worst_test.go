package lvm

import (
	"context"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/bounds"
)

// saying is a Runner whose programs all print the same.
type saying []byte

func (s saying) Run(context.Context, string, ...string) ([]byte, error) { return s, nil }

func TestWorstReports(t *testing.T) {
	const head, tail = `{"report":[{"lv":[{}`, `]}]}`
	for what, text := range map[string][]byte{
		"empty":   bounds.Stretch(head, `,{}`, tail),
		"real":    bounds.Stretch(head, `,{"lv_name":"pool0","lv_size":"104857600","lv_layout":"thin,pool","data_percent":"1.56","lv_tags":"a,b","thin_id":""}`, tail),
		"reports": bounds.Stretch(`{"report":[{"lv":[{}]}`, `,{"lv":[]}`, `]}`),
		"tags":    bounds.Stretch(`{"report":[{"lv":[{"lv_tags":"`, `a,`, `"}]}]}`),
		"number":  bounds.Stretch(`{"report":[{"lv":[{"data_percent":"`, `1`, `"}]}]}`),
		"keys":    bounds.Stretch(`{"report":[{"":[]`, `,"a":[{}]`, `}]}`),
		"nested":  bounds.Nest("[", "]"),
	} {
		t.Run(what, func(t *testing.T) {
			bounds.Within(t, func() { _, _ = decodeReport[volume](text, "lv") })
		})
	}
}

func TestWorstDeltas(t *testing.T) {
	for what, text := range map[string][]byte{
		"pieces": bounds.Stretch(deltaBegin, `<same begin="0" length="0"/>`, deltaEnd),
		"blanks": bounds.Stretch(deltaBegin, "\n", deltaEnd),
		"name":   bounds.Stretch("<", "a", "/>"),
		"open":   bounds.Stretch(deltaBegin, "<diff>", ""),
		"remark": bounds.Stretch(deltaBegin, "<!---->", deltaEnd),
	} {
		t.Run(what, func(t *testing.T) {
			bounds.Within(t, func() { _, _ = readDelta(string(text), 1<<40) })
		})
	}
}

func TestWorstStores(t *testing.T) {
	var old []int64
	for n := range int64(bounds.Worst/cowChunk - 4) {
		old = append(old, n)
	}
	text := storeWith(bounds.Worst, old...)
	bounds.Within(t, func() { _, _ = parseStore(text, 1<<40) })
	bounds.Within(t, func() { _, _ = parseMapped(strings.Repeat("-", bounds.Worst)) })
}
