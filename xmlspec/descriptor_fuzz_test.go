package xmlspec

import (
	"bytes"
	"errors"
	"testing"

	"github.com/domsnap/domsnap/integration/bounds"
)

// maxFuzzed keeps what Marshal adds, indentation and escapes above all, within the limits of a document.
const maxFuzzed = 16 << 10

func FuzzParseDescriptor(f *testing.F) {
	for _, kind := range []string{"good", "bad"} {
		for _, name := range corpus(f, kind) {
			f.Add(readFile(f, name))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var d *Descriptor
		var err error
		bounds.Within(t, func() { d, err = ParseDescriptor(data) })
		if err != nil {
			if !errors.As(err, new(*SyntaxError)) {
				t.Fatalf("got %v, want a *SyntaxError", err)
			}
			return
		}
		if len(data) > maxFuzzed {
			return
		}
		first := marshal(t, d)
		if second := marshal(t, parseDescriptor(t, string(first))); !bytes.Equal(first, second) {
			t.Errorf("not stable:\n%s\n%s", first, second)
		}
	})
}
