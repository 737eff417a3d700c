//go:build lab

package btrfs

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/methodtest"
)

// raceForTheStore: who owns the directory of the disk puts another one in the place of the store, full of links to
// somebody else's file.
func raceForTheStore(t *testing.T, r *rig) {
	evil := filepath.Join(filepath.Dir(r.dir), filepath.Base(r.dir)+".evil")
	canary := newLinks(t, evil)
	r.race(t, filepath.Join(r.dir, storeName), evil)
	canary.Check()
	for _, name := range []string{"ds-snap1-vda.raw", "ds-snap1-vda"} {
		if _, err := os.Lstat(filepath.Join(evil, name)); err != nil {
			t.Errorf("a file of the other directory was removed: %v", err)
		}
	}
}

// newLinks makes a directory as of another user, and a canary on the same file system.
func newLinks(t *testing.T, evil string) *methodtest.Canary {
	t.Helper()
	must(t, os.Mkdir(evil, 0o700))
	t.Cleanup(func() { _ = os.RemoveAll(evil) })
	canary := methodtest.CanaryIn(t, evil, diskSize)
	must(t, os.Symlink(canary.Path, filepath.Join(evil, "ds-snap1-vda.raw")))
	must(t, os.Mkdir(filepath.Join(evil, "ds-snap1-vda"), 0o755))
	must(t, os.Symlink(canary.Path, filepath.Join(evil, "ds-snap1-vda", "disk.raw")))
	must(t, os.Chmod(evil, 0o777))
	return canary
}

// raceForTheDisk: the disk itself becomes a link.
func raceForTheDisk(t *testing.T, r *rig) {
	evil := filepath.Join(filepath.Dir(r.dir), filepath.Base(r.dir)+".evil")
	canary := newLinks(t, evil)
	r.race(t, r.path(), canary.Path)
	canary.Check()
}

// race takes, reads, reverts and drops while somebody swaps what is at the path.
func (r *rig) race(t *testing.T, path, target string) {
	t.Helper()
	ref, err := r.plan("snap1")
	must(t, err)
	race := methodtest.StartRace(t, path, target)
	made := 0
	for end := time.Now().Add(methodtest.RaceTime(t)); time.Now().Before(end); {
		if r.method.Take(t.Context(), ref) == nil {
			made++
		}
		r.wantNoCanary(t, ref)
		_, _ = r.method.Revert(t.Context(), r.request(ref))
		_ = r.method.Drop(t.Context(), methods.DropRequest{Ref: ref, Disk: r.disk})
	}
	swaps := race.End()
	r.drop(t, ref)
	if made == 0 || swaps == 0 {
		t.Errorf("%d snapshots were made and %d swaps: nothing was tried", made, swaps)
	}
}

func (r *rig) wantNoCanary(t *testing.T, ref methods.Ref) {
	t.Helper()
	c, err := r.method.Open(t.Context(), ref)
	if err != nil {
		return
	}
	defer c.Close()
	head := make([]byte, len(methodtest.CanaryText))
	if _, err := c.ReadAt(head, 0); err == nil && string(head) == methodtest.CanaryText {
		t.Fatal("it reads the canary")
	}
}
