package lvm

import "testing"

func FuzzDecodeReport(f *testing.F) {
	f.Add([]byte(`{"report":[{"lv":[{"lv_name":"root","lv_size":"4194304","origin":"","data_percent":"","lv_tags":"a,b"}]}],"log":[]}`))
	f.Add([]byte(`{"report":[{"lv":[{"lv_size":"-1","data_percent":"1e400","lv_device_open":"-1"}]},{"vg":[]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		volumes, err := decodeReport[volume](text, "lv")
		if err != nil && volumes != nil {
			t.Errorf("%v with %v", err, volumes)
		}
		g := group{volumes: volumes}
		for _, v := range volumes {
			if !g.has(v.Name) {
				t.Errorf("%q is not found", v.Name)
			}
			v.used()
		}
	})
}
