package fullcopy

import (
	"testing"

	"github.com/domsnap/domsnap/integration/bounds"
)

// FuzzParseInfo reads what qemu-img says of a chain of images.
func FuzzParseInfo(f *testing.F) {
	f.Add([]byte("[\n    {\n        \"virtual-size\": 1048576,\n        \"filename\": \"/d/top.qcow2\",\n        \"cluster-size\": 65536,\n        \"format\": \"qcow2\",\n" +
		"        \"actual-size\": 200704,\n        \"full-backing-filename\": \"/d/base.raw\",\n        \"dirty-flag\": false\n    },\n" +
		"    {\n        \"virtual-size\": 1048576,\n        \"filename\": \"/d/base.raw\",\n        \"format\": \"raw\",\n        \"actual-size\": 0\n    }\n]\n"))
	f.Add([]byte(`[{"virtual-size":1048576,"actual-size":4096},{"virtual-size":9,"actual-size":0}]`))
	f.Add([]byte(`[{"virtual-size":9223372036854775807,"actual-size":9223372036854775807},{"actual-size":9223372036854775807}]`))
	f.Add([]byte(`[{"virtual-size":-1}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		bounds.Within(t, func() {
			if s, err := parseInfo(text); err == nil && (s.capacity < 0 || s.needed < 0 || s.needed > s.capacity) {
				t.Errorf("%+v", s)
			}
		})
	})
}

func TestWorstInfos(t *testing.T) {
	for what, text := range map[string][]byte{
		"images": bounds.Stretch(`[{}`, `,{}`, `]`),
		"sizes":  bounds.Stretch(`[{}`, `,{"actual-size":1}`, `]`),
		"nested": bounds.Nest("[", "]"),
	} {
		t.Run(what, func(t *testing.T) {
			bounds.Within(t, func() { _, _ = parseInfo(text) })
		})
	}
}
