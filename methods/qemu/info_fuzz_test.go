package qemu

import (
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/bounds"
)

// described is what qemu-img info printed of an overlay with an internal snapshot.
const described = `{
    "snapshots": [
        {
            "icount": 0,
            "vm-clock-nsec": 0,
            "name": "ds-sone-vda",
            "date-sec": 1732190000,
            "date-nsec": 123456000,
            "vm-clock-sec": 0,
            "id": "1",
            "vm-state-size": 0
        }
    ],
    "backing-filename-format": "raw",
    "virtual-size": 1048576,
    "filename": "/d/top.qcow2",
    "cluster-size": 65536,
    "format": "qcow2",
    "actual-size": 200704,
    "full-backing-filename": "/d/base.raw",
    "backing-filename": "base.raw",
    "format-specific": {
        "type": "qcow2",
        "data": {
            "compat": "1.1",
            "compression-type": "zlib",
            "lazy-refcounts": false,
            "refcount-bits": 16,
            "corrupt": false,
            "extended-l2": false
        }
    },
    "dirty-flag": false
}
`

// FuzzParseInfo reads what qemu-img says of an image, whose header may have been made to do harm.
func FuzzParseInfo(f *testing.F) {
	f.Add([]byte(described))
	f.Add([]byte(`{"virtual-size":65536,"format":"qcow2","backing-filename":"base","full-backing-filename":"/d/base","backing-filename-format":"raw"}`))
	f.Add([]byte(`{"virtual-size":1,"snapshots":[{"id":"1","name":"a"}],"format-specific":{"data":{"data-file":"/etc/shadow"}}}`))
	f.Add([]byte(`{"backing-filename":"json:{}","backing-filename-format":"nbd"}`))
	f.Add([]byte(`{"backing-filename":"nbd://host/x","full-backing-filename":"json:{\"driver\":\"nbd\"}","backing-filename-format":"raw"}`))
	f.Add([]byte(`{"backing-filename":"a\nb","full-backing-filename":"/d/a\nb","backing-filename-format":"qcow2"}`))
	f.Fuzz(func(t *testing.T, out []byte) {
		bounds.Within(t, func() {
			l, err := parseInfo(Image{"/d/top", qcow2}, out)
			if err == nil && l.Backing.Path != "" && l.Backing.Format != raw && l.Backing.Format != qcow2 {
				t.Errorf("the image below is %+v", l.Backing)
			}
		})
	})
}

// FuzzInside looks for snapshots in a list that others have filled: what is found answers to no other name.
func FuzzInside(f *testing.F) {
	f.Add([]byte(described), "ds-sone-vda")
	f.Add([]byte(`{"snapshots":[{"id":"2","name":"1"},{"id":"1","name":"2"}]}`), "1")
	f.Add([]byte(`{"snapshots":[{"id":"1","name":"a"},{"id":"2","name":"a"}]}`), "a")
	f.Add([]byte(`{"snapshots":[{"id":"","name":"\n"},{"id":"1"}]}`), "")
	f.Fuzz(func(t *testing.T, out []byte, name string) {
		bounds.Within(t, func() {
			l, err := parseInfo(Image{"/d/top", qcow2}, out)
			if err != nil {
				return
			}
			if found, err := l.inside(name); err == nil && found.Name != name {
				t.Errorf("%q is %+v", name, found)
			}
			_, _ = l.takes(name), l.holdsNone()
		})
	})
}

// FuzzParseMap reads qemu-img map: what comes of it is ascending, apart and inside the disk.
func FuzzParseMap(f *testing.F) {
	f.Add([]byte("[{ \"start\": 0, \"length\": 65536, \"depth\": 0, \"present\": true, \"zero\": false, \"data\": true, \"compressed\": false, \"offset\": 327680},\n" +
		"{ \"start\": 65536, \"length\": 983040, \"depth\": 1, \"present\": false, \"zero\": true, \"data\": false, \"compressed\": false}]\n"))
	f.Add([]byte(`[{"start":0,"length":65536,"depth":0,"zero":false,"data":true},{"start":65536,"length":65536,"depth":1}]`))
	f.Add([]byte(`[{"start":9223372036854775807,"length":9223372036854775807,"depth":-1}]`))
	f.Add([]byte(`[{"start":0,"length":4,"depth":0},{"start":2,"length":4,"depth":0},{"start":1,"length":1,"depth":0}]`))
	f.Fuzz(func(t *testing.T, out []byte) {
		const size = 1 << 40
		bounds.Within(t, func() {
			mapped, err := parseMap(out, size)
			if err != nil {
				return
			}
			end := int64(-1)
			for _, e := range merged(above(mapped, 1)) {
				if e.Offset <= end || e.Length <= 0 || e.End() > size {
					t.Errorf("%+v begins before %d or ends behind %d", e, end, size)
				}
				end = e.End()
			}
		})
	})
}

// FuzzPaths: what is handed to qemu-img is an absolute path, which is no option and no protocol.
func FuzzPaths(f *testing.F) {
	for _, path := range []string{"/d/web1.qcow2", "/d/web1.ds-sone-vda.qcow2", "-U", "json:{}", "nbd:host:1", "/d/json:{}", "/d/a\nb", "", "/", "/d/a,b", "./a", "/d/.qcow2"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		bounds.Within(t, func() {
			safe, err := safePath(path)
			if err == nil && (safe[0] != '/' || strings.ContainsAny(safe, "\n\x00")) {
				t.Errorf("%q is safe", safe)
			}
			if s := stem(path); !strings.HasPrefix(path, s) {
				t.Errorf("the stem of %q is %q", path, s)
			}
		})
	})
}

func TestWorstTexts(t *testing.T) {
	for what, text := range map[string][]byte{
		"extents":   bounds.Stretch(`[{"start":0,"length":1}`, `,{}`, `]`),
		"mapped":    bounds.Stretch(`[{"start":0,"length":1}`, `,{"start":1,"length":1}`, `]`),
		"snapshots": bounds.Stretch(`{"snapshots":[{}`, `,{}`, `]}`),
		"names":     bounds.Stretch(`{"snapshots":[{}`, `,{"name":"a"}`, `]}`),
		"name":      bounds.Stretch(`{"snapshots":[{"name":"`, `\u0000`, `"}]}`),
		"backing":   bounds.Stretch(`{"backing-filename":"`, `a`, `"}`),
		"nested":    bounds.Nest("[", "]"),
	} {
		t.Run(what, func(t *testing.T) {
			bounds.Within(t, func() { _, _ = parseMap(text, 1<<40) })
			bounds.Within(t, func() {
				if l, err := parseInfo(Image{"/d/top", qcow2}, text); err == nil {
					_, _ = l.inside("a")
					_ = l.holdsNone()
				}
			})
		})
	}
}
