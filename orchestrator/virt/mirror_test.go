package virt

import (
	"errors"
	"slices"
	"testing"
	"time"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/xmlspec"
)

func TestMirror(t *testing.T) {
	h := connected(t)
	d := look(t, h, "web1")
	document, err := d.Definition(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := func(names ...string) {
		t.Helper()
		got, err := d.Shown(t.Context())
		slices.Sort(got)
		if err != nil || !slices.Equal(got, names) {
			t.Errorf("shown are %q, %v, want %q", got, err, names)
		}
	}
	for _, r := range []xmlspec.Reflection{{Name: "one", Description: "<a> & b"}, {Name: "two", Parent: "one"}} {
		r.Created, r.Definition, r.Disks = time.Unix(1_790_000_000, 0), document.XML, []string{"vda", "vdb", "sda"}
		if err := d.Show(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	by, err := h.conn.LookupDomainByName("web1")
	if err != nil {
		t.Fatal(err)
	}
	hand, err := by.CreateSnapshotXML("<domainsnapshot><name>by-hand</name></domainsnapshot>", 0)
	if err != nil {
		t.Fatal(err)
	}
	want("by-hand", "one", "two")
	// The test driver cannot forget a snapshot.
	for _, name := range []string{"by-hand", "none"} {
		if err := d.Hide(t.Context(), name); err != nil {
			t.Errorf("hide %s: %v", name, err)
		}
	}
	want("by-hand", "one", "two")
	root, err := by.SnapshotLookupByName("one", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(hand.Delete(0), root.Delete(libvirt.DOMAIN_SNAPSHOT_DELETE_CHILDREN)); err != nil {
		t.Error(err)
	}
}
