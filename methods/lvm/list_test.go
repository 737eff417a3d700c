package lvm

import (
	"slices"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func (f *fakeLVM) list(t *testing.T, volume string) []string {
	t.Helper()
	names, err := f.method.List(t.Context(), fakeDisk(f, volume))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestList(t *testing.T) {
	f, m := newFake(t)
	f.volumes["thin2"] = &fakeVolume{layout: "thin,sparse", pool: "pool0", active: true, size: 64 << 20}
	f.take(t, "thin", "thin1")
	f.take(t, "thin2", "thin2")
	f.take(t, "thick", "thick1")
	if _, err := m.Prepare(t.Context(), []methods.Ref{f.plan(t, "thick", "ready1")}); err != nil {
		t.Fatal(err)
	}
	f.volumes["ds-thin1-vdb"] = &fakeVolume{layout: "thin,sparse", pool: "pool0", origin: "thin"}
	f.volumes["ds-x"] = &fakeVolume{layout: "linear"}
	for volume, want := range map[string][]string{
		"thin":    {"ds-thin1-vda"},
		"thin2":   {"ds-thin2-vda"},
		"thick":   {"ds-ready1-vda", "ds-thick1-vda"},
		"nothing": nil,
	} {
		if got := f.list(t, volume); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", volume, got, want)
		}
	}
	for _, s := range []methods.Source{{}, {File: "/srv/x.img"}, {Other: "nbd"}} {
		if got, err := m.List(t.Context(), methods.Disk{Target: "vda", Source: s}); err != nil || got != nil {
			t.Errorf("%s: %q, %v", s, got, err)
		}
	}
	f.checkArgs(t)
}

// TestListInSwap interrupts a revert at each of its commands: what there is belongs to the two snapshots.
func TestListInSwap(t *testing.T) {
	bothKeeps(t, func(t *testing.T, keep bool) {
		for kill := 1; kill <= 8; kill++ {
			c := newSwap(t, keep)
			_ = c.run(t, kill, false)
			got := c.fake.list(t, "thin")
			want := []string{"ds-first-vda"}
			if c.fake.volumes["ds-keep-vda"] != nil {
				want = append(want, "ds-keep-vda")
			}
			if !slices.Equal(got, want) {
				t.Errorf("killed at %d: got %q, want %q", kill, got, want)
			}
		}
	})
}
