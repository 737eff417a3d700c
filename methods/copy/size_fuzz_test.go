package fullcopy

import "testing"

func FuzzParseInfo(f *testing.F) {
	f.Add([]byte(`[{"virtual-size":1048576,"actual-size":4096},{"virtual-size":9,"actual-size":0}]`))
	f.Add([]byte(`[{"virtual-size":-1}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := parseInfo(text); err == nil && (s.capacity < 0 || s.needed < 0 || s.needed > s.capacity) {
			t.Errorf("%+v", s)
		}
	})
}
