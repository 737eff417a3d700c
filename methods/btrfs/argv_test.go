package btrfs

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/argv"
	"github.com/domsnap/domsnap/methods"
)

// TestHostileNamesOfFiles: whatever a disk's file is called, its snapshot has one plain name in the store, and its
// content is below that.
func TestHostileNamesOfFiles(t *testing.T) {
	placed := 0
	for name := range argv.Names(100_000) {
		for _, disk := range []methods.Disk{
			{Target: "vda", Format: "raw", Source: methods.Source{File: name}}, {Target: "vda", Format: "raw", Source: methods.Source{File: "/d/" + name}},
			{Target: name, Format: "raw", Source: methods.Source{File: "/d/f"}}, {Target: "vda", Format: name, Source: methods.Source{File: "/d/f"}},
		} {
			for _, w := range []way{subvolume{}, reflink{}} {
				l, err := locate(w, "sone", disk)
				if err != nil {
					continue
				}
				placed++
				checkLocation(t, l, disk)
			}
		}
		for _, ref := range []methods.Ref{
			{Method: "btrfs", Snapshot: name, Mode: "reflink", Name: "/d/.domsnap/ds-" + name + "-vda.raw", Disk: methods.Disk{Target: "vda", Format: "raw", Source: methods.Source{File: "/d/f"}}},
			{Method: "btrfs", Snapshot: "sone", Mode: "subvolume", Name: "/d/.domsnap/" + name, Disk: methods.Disk{Target: "vda", Format: "raw", Source: methods.Source{File: "/d/f"}}},
		} {
			if l, err := New().recorded(ref); err == nil {
				checkLocation(t, l, ref.Disk)
			}
		}
		if t.Failed() {
			t.Fatalf("by %q", name)
		}
	}
	if placed < 100_000 {
		t.Errorf("only %d snapshots were placed", placed)
	}
}

func checkLocation(t *testing.T, l location, disk methods.Disk) {
	t.Helper()
	entry := "ds-sone-" + disk.Target
	if l.way == (reflink{}) {
		entry += "." + disk.Format
	}
	if l.entry != entry && !strings.HasPrefix(l.entry, "ds-") || strings.ContainsAny(l.entry, "/\x00 \n") || len(l.entry) > 100 {
		t.Errorf("the entry is %q", l.entry)
	}
	store := filepath.Join(filepath.Dir(filepath.Clean(disk.Source.File)), storeName)
	if below, err := filepath.Rel(store, l.file()); err != nil || !filepath.IsLocal(below) || below != l.below() || !filepath.IsLocal(l.below()) || filepath.Dir(l.path()) != store {
		t.Errorf("%q is in %q, not in %q: %v", l.file(), below, store, err)
	}
}
