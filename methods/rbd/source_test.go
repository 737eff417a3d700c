package rbd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func TestSource(t *testing.T) {
	for _, c := range []struct {
		image    methods.RBDImage
		xml, uri string
	}{
		{
			methods.RBDImage{Pool: "rbd", Image: "a"},
			`<source protocol="rbd" name="rbd/a"><snapshot name="ds-aaaa-vda"></snapshot></source>`,
			`rbd:rbd/a@ds-aaaa-vda`,
		},
		{
			methods.RBDImage{
				Pool: "p:1", Namespace: "n", Image: `a'<&\`, User: "me", Config: "/etc/ceph/b=1.conf",
				Monitors: []string{"10.0.0.1:6789", "[fd00::1]:3300", "mon"},
			},
			`<source protocol="rbd" name="p:1/n/a&#39;&lt;&amp;\"><host name="10.0.0.1" port="6789"></host>` +
				`<host name="fd00::1" port="3300"></host><host name="mon"></host>` +
				`<snapshot name="ds-aaaa-vda"></snapshot><config file="/etc/ceph/b=1.conf"></config></source>`,
			`rbd:p\:1/n/a'<&\\@ds-aaaa-vda:id=me:mon_host=10.0.0.1\:6789,[fd00\:\:1]\:3300,mon:conf=/etc/ceph/b\=1.conf`,
		},
	} {
		disk := methods.Disk{Target: "vda", Source: methods.Source{RBD: &c.image}}
		ref := methods.Ref{Snapshot: "aaaa", Disk: disk, Origin: c.image.String(), Name: c.image.String() + "@ds-aaaa-vda"}
		got, err := New().Source(t.Context(), ref)
		wantError(t, err, nil)
		if got.XML != c.xml || got.URI != c.uri || got.Format != "raw" {
			t.Errorf("%s\n%s", got.XML, got.URI)
		}
		if here := got.Source.RBD; here == nil || here.Snapshot != "ds-aaaa-vda" || here.Image != c.image.Image || c.image.Snapshot != "" {
			t.Errorf("%+v", here)
		}
	}
}

// mapped lists an image as the kernel does.
func (s *stage) mapped(number string, attributes [][2]string) {
	s.t.Helper()
	dir := filepath.Join(s.method.devices, number)
	wantError(s.t, os.MkdirAll(dir, 0o700), nil)
	for _, a := range attributes {
		wantError(s.t, os.WriteFile(filepath.Join(dir, a[0]), []byte(a[1]+"\n"), 0o600), nil)
	}
}

func TestClaim(t *testing.T) {
	s := newStage(t)
	s.mapped("3", [][2]string{{"pool", "rbd"}, {"pool_ns", ""}, {"name", "a"}, {"current_snap", "-"}})
	s.mapped("4", [][2]string{{"pool", "rbd"}, {"name", "a"}, {"current_snap", "backup"}})
	for _, c := range []struct {
		source methods.Source
		rank   int
	}{
		{s.disk.Source, methods.RankOnly},
		{methods.Source{Dev: "/dev/rbd3"}, methods.RankOnly},
		{methods.Source{Dev: "/dev/rbd4"}, 0},
		{methods.Source{Dev: "/dev/rbd5"}, 0},
		{methods.Source{Dev: "/dev/rbd3p1"}, 0},
		{methods.Source{Dev: "/dev/null"}, 0},
		{methods.Source{File: "/a"}, 0},
		{methods.Source{}, 0},
	} {
		if got := s.method.Claim(t.Context(), methods.Disk{Source: c.source}); got.Rank != c.rank {
			t.Errorf("%s: rank %d, want %d", c.source, got.Rank, c.rank)
		}
	}
}

func TestMappedDeviceIsPlannedByItsImage(t *testing.T) {
	s := newStage(t)
	s.mapped("3", [][2]string{{"pool", "rbd"}, {"pool_ns", "n"}, {"name", "a"}, {"current_snap", "-"}})
	s.disk.Source = methods.Source{Dev: "/dev/rbd3"}
	if ref := s.plan(t.Context()); ref.Name != "rbd/n/a@ds-aaaa-vda" {
		t.Fatal(ref.Name)
	}
}
