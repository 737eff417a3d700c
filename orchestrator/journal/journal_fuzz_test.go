package journal

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/domsnap/domsnap/integration/bounds"
	"github.com/domsnap/domsnap/orchestrator/durable"
)

// FuzzDecode reads any intent under a right checksum: what is read is what would be written.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"verb":"create","domain":"web1","uuid":"6f1d2c3b","refs":[{"snapshot":"sone","method":"lvm","name":"vg/x","size":5}]}`))
	f.Add([]byte(`{"verb":"revert","hows":["native"],"kept":[{}],"moving":["vda"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		line := fmt.Appendf(nil, "%x %s\n", sha256.Sum256(body), body)
		var first *Intent
		var err error
		bounds.Within(t, func() { first, err = decodeAll(line) })
		if err != nil {
			return
		}
		text, err := durable.Seal(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := decodeAll(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, second, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzDecodeTorn reads anything behind an intent: it stays the intent, and a note that is whole is not lost by what is
// torn before it.
func FuzzDecodeTorn(f *testing.F) {
	f.Add([]byte("\n"))
	f.Add([]byte("\n00 {\"act\":\"revert vda\"}\n"))
	f.Fuzz(func(t *testing.T, torn []byte) {
		intent, err := durable.Seal(Intent{Verb: Revert, Domain: "web1"})
		if err != nil {
			t.Fatal(err)
		}
		whole := Note{Act: "revert vdb", Done: true}
		note, err := durable.Seal(whole)
		if err != nil {
			t.Fatal(err)
		}
		i, err := decodeAll(bytes.Join([][]byte{intent, torn, []byte("\n"), note}, nil))
		if err != nil || i.Verb != Revert || !i.Did("revert vdb") {
			t.Errorf("%+v, %v", i, err)
		}
		bounds.Within(t, func() { i, err = decodeAll(torn) })
		if (i == nil) == (err == nil) {
			t.Errorf("%+v, %v", i, err)
		}
	})
}
