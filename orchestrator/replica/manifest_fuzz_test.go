package replica_test

import (
	"testing"

	"github.com/domsnap/domsnap/orchestrator/replica"
)

func FuzzManifest(f *testing.F) {
	m := manifest("aaaa", 1)
	m.Version, m.State = 1, replica.Inbound
	text, err := m.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Add([]byte(`{"sha256":"","manifest":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := replica.Parse(text)
		if err != nil {
			return
		}
		if _, err := m.Marshal(); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}
