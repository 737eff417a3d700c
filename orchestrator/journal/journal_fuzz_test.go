package journal

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzDecode reads any intent under a right checksum: what is read is what would be written.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"verb":"create","domain":"web1","uuid":"6f1d2c3b","refs":[{"snapshot":"sone","method":"lvm","name":"vg/x","size":5}]}`))
	f.Add([]byte(`{"verb":"revert","hows":["native"],"kept":[{}],"moving":["vda"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		text, err := json.Marshal(envelope{SHA256: digest(body), Intent: body})
		if err != nil {
			return
		}
		first, err := decode(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		text, err = json.Marshal(envelope{SHA256: digest(again), Intent: again})
		if err != nil {
			t.Fatal(err)
		}
		second, err := decode(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, second, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzDecodeTorn reads anything: without the right checksum nothing is read.
func FuzzDecodeTorn(f *testing.F) {
	f.Add([]byte(`{"sha256":"","intent":null}`))
	f.Add([]byte(`{"sha256":"00","intent":{"verb":"create"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if i, err := decode(text); (i == nil) == (err == nil) {
			t.Errorf("%+v, %v", i, err)
		}
	})
}
