package qemu

import "testing"

// FuzzParseInfo reads what qemu-img says of an image, whose header may have been made to do harm.
func FuzzParseInfo(f *testing.F) {
	f.Add([]byte(`{"virtual-size":65536,"format":"qcow2","backing-filename":"base","full-backing-filename":"/d/base","backing-filename-format":"raw"}`))
	f.Add([]byte(`{"virtual-size":1,"snapshots":[{"id":"1","name":"a"}],"format-specific":{"data":{"data-file":"/etc/shadow"}}}`))
	f.Add([]byte(`{"backing-filename":"json:{}","backing-filename-format":"nbd"}`))
	f.Fuzz(func(t *testing.T, out []byte) {
		l, err := parseInfo(Image{"/d/top", qcow2}, out)
		if err == nil && l.Backing.Path != "" && l.Backing.Format != raw && l.Backing.Format != qcow2 {
			t.Errorf("the image below is %+v", l.Backing)
		}
	})
}

// FuzzParseMap reads qemu-img map: what comes of it is ascending, apart and inside the disk.
func FuzzParseMap(f *testing.F) {
	f.Add([]byte(`[{"start":0,"length":65536,"depth":0,"zero":false,"data":true},{"start":65536,"length":65536,"depth":1}]`))
	f.Add([]byte(`[{"start":9223372036854775807,"length":9223372036854775807,"depth":-1}]`))
	f.Fuzz(func(t *testing.T, out []byte) {
		const size = 1 << 40
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
}
