package lvm

import (
	"slices"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func TestWarn(t *testing.T) {
	f, m := newFake(t)
	f.take(t, "thick", "once")
	for _, c := range []struct {
		volume, data, metadata string
		of                     string
		want                   []string
	}{
		{"thick", "79.99", "", "ds-once-vda", nil},
		{"thick", "80.00", "", "ds-once-vda", []string{"vg/ds-once-vda has used 80 % of its room, and when that is full, the snapshot is lost"}},
		{"thick", "100.00", "", "ds-once-vda", nil},
		{"thin", "10.00", "10.00", "pool0", nil},
		{"thin", "91.00", "85.40", "pool0", []string{
			"vg/pool0 has used 91 % of its room, and when that is full, the writes to all its volumes stop",
			"vg/pool0 has used 85 % of its metadata, and when that is full, the writes to all its volumes stop",
		}},
	} {
		f.volumes[c.of].data, f.volumes[c.of].metadata = c.data, c.metadata
		warnings, err := m.Warn(t.Context(), fakeDisk(f, c.volume))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range warnings {
			got = append(got, w.What)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %q", c, got)
		}
	}
	got, err := m.Warn(t.Context(), methods.Disk{Target: "vda", Source: methods.Source{File: "/srv/x.img"}})
	if err != nil || got != nil {
		t.Errorf("a file: %v, %v", got, err)
	}
}
