package fullcopy_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/methodtest"
)

// TestRaceForTheDirectory: who owns the directory of a disk puts another one in the place of the copies, full of links to
// somebody else's file, while copies are made, read and dropped.
func TestRaceForTheDirectory(t *testing.T) {
	s := newStage(t, false)
	canary := methodtest.NewCanary(t, diskSize)
	evil := t.TempDir()
	must(t, os.Mkdir(filepath.Join(evil, uuid), 0o700))
	for _, name := range []string{"ds-aaaa-vda.raw", "ds-aaaa-vda.raw.partial"} {
		must(t, os.Symlink(canary.Path, filepath.Join(evil, uuid, name)))
	}
	// As a directory of another user.
	must(t, os.Chmod(evil, 0o777))
	store := filepath.Join(filepath.Dir(s.disk.Source.File), ".domsnap-copies")
	ref := s.plan("aaaa")
	race := methodtest.StartRace(t, store, evil)
	made := 0
	for end := time.Now().Add(methodtest.RaceTime(t)); time.Now().Before(end); {
		if s.method.Take(t.Context(), ref) == nil {
			made++
		}
		if c, err := s.method.Open(t.Context(), ref); err == nil {
			head := make([]byte, len(methodtest.CanaryText))
			if _, err := c.ReadAt(head, 0); err == nil && string(head) == methodtest.CanaryText {
				t.Fatal("it reads the canary")
			}
			must(t, c.Close())
		}
		for s.method.Drop(t.Context(), methods.DropRequest{Ref: ref, Disk: s.disk}) != nil && time.Now().Before(end) {
			continue
		}
	}
	swaps := race.End()
	canary.Check()
	for _, name := range []string{"ds-aaaa-vda.raw", "ds-aaaa-vda.raw.partial"} {
		if _, err := os.Lstat(filepath.Join(evil, uuid, name)); err != nil {
			t.Errorf("a file of the other directory was removed: %v", err)
		}
	}
	if made == 0 || swaps == 0 {
		t.Errorf("%d copies were made and %d swaps: nothing was tried", made, swaps)
	}
	t.Logf("%d copies, %d swaps", made, swaps)
}

// TestNameOfARecordIsNoWayToAnotherFile: records are metadata of the domain, which others may write to.
func TestNameOfARecordIsNoWayToAnotherFile(t *testing.T) {
	s := newStage(t, false)
	canary := methodtest.NewCanary(t, diskSize)
	open := filepath.Join(t.TempDir(), "open")
	must(t, os.Mkdir(open, 0o700))
	must(t, os.Chmod(open, 0o777))
	link := filepath.Join(t.TempDir(), "ds-aaaa-vda.raw")
	must(t, os.Symlink(canary.Path, link))
	planted := filepath.Join(open, "ds-aaaa-vda.raw")
	must(t, os.Link(canary.Path, planted))
	for _, name := range []string{"", "/", "/etc/shadow", canary.Path, link, planted, filepath.Dir(link) + "/x/../ds-aaaa-vda.raw", "ds-aaaa-vda.raw", s.disk.Source.File} {
		ref := methods.Ref{Snapshot: "aaaa", Method: "copy", Disk: s.disk, Name: name, Size: diskSize}
		if _, err := s.method.Stat(t.Context(), ref); err == nil {
			t.Errorf("%q is a snapshot", name)
		}
		if c, err := s.method.Open(t.Context(), ref); err == nil {
			_ = c.Close()
			t.Errorf("%q was opened", name)
		}
		if err := s.method.Take(t.Context(), ref); err == nil {
			t.Errorf("%q was made", name)
		}
		_ = s.method.Drop(t.Context(), methods.DropRequest{Ref: ref, Disk: s.disk})
		canary.Check()
		if _, err := os.Lstat(planted); err != nil {
			t.Fatalf("%q: the file of another directory is gone", name)
		}
	}
	content(t, s.disk.Source.File)
}
