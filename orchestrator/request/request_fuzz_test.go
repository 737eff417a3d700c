package request

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/domsnap/domsnap/integration/bounds"
)

const askedFor = `{"domain":"web1","uuid":"6f1d2c3b-0000-4000-8000-000000000001","snapshot":"sone","name":"one","disks":["vda"],` +
	`"map":[{"from":"vdb","to":"vdc"}],"after":"shutoff","asked":"2026-11-20T03:00:00Z","tried":"0001-01-01T00:00:00Z"}`

// FuzzRequest reads anything, under a right checksum and without: what is no request is ErrDamaged, and what is read is
// what would be written.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		askedFor, "", "null", "{}", askedFor + askedFor, `{"uuid":"u","snapshot":"s","after":"gone"}`,
		`{"uuid":"u","snapshot":"s","after":"running","unheard_of":true}`, `{"uuid":"u","snapshot":"s","after":"paused","disks":[""]}`,
		`{"uuid":"u","snapshot":"s","after":"paused","map":[{"from":"vda","to":""}]}`, `{"uuid":1}`, "\n", "[[[[[[[[",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, text := range [][]byte{body, fmt.Appendf(nil, "%x %s\n", sha256.Sum256(body), body)} {
			var first *Revert
			var err error
			bounds.Within(t, func() { first, err = parse(text) })
			if err != nil {
				if !errors.Is(err, ErrDamaged) || first != nil {
					t.Errorf("%v, %v", first, err)
				}
				continue
			}
			wantSame(t, first)
		}
	})
}

func wantSame(t *testing.T, first *Revert) {
	t.Helper()
	text, err := first.text()
	if err != nil {
		return // what JSON writes may be longer than what it reads
	}
	second, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Failed) <= textLimit {
		if diff := cmp.Diff(first, second, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
}
