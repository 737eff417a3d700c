package hold

import "testing"

// FuzzNote: whatever is in the file, it holds the snapshot that its name says.
func FuzzNote(f *testing.F) {
	f.Add("one.123", `{"snapshot":"one","disk":"vda","pid":1,"for":"snapshot-export","since":"2026-11-20T03:00:00Z"}`)
	f.Add("one.123", `{"snapshot":"two","pid":1}`)
	f.Add("one", `{"pid":-1}`)
	f.Add("", `[`)
	f.Fuzz(func(t *testing.T, name, text string) {
		n := parse(name, []byte(text))
		if len(n.Snapshot) > len(name) || name[:len(n.Snapshot)] != n.Snapshot || n.PID < 0 {
			t.Errorf("%+v", n)
		}
		_ = n.String()
	})
}
