//go:build lab

package btrfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func mountBtrfs(t *testing.T) string {
	return mountImage(t, "mkfs.btrfs", "-q")
}

func mountXFS(t *testing.T) string {
	return mountImage(t, "mkfs.xfs", "-q", "-m", "reflink=1")
}

// mountImage makes a file system in a sparse file.
func mountImage(t *testing.T, mkfs ...string) string {
	t.Helper()
	dir := t.TempDir()
	image, at := filepath.Join(dir, "image"), filepath.Join(dir, "mounted")
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 1<<30))
	must(t, os.Mkdir(at, 0o755))
	run(t, mkfs[0], append(mkfs[1:], image)...)
	run(t, "mount", "-o", "loop", image, at)
	t.Cleanup(func() { run(t, "umount", at) })
	return at
}

func newDir(t *testing.T, mount string) string {
	t.Helper()
	dir, err := os.MkdirTemp(mount, "dir")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func newSubvolume(t *testing.T, mount string) string {
	t.Helper()
	dir := newDir(t, mount)
	must(t, os.Remove(dir))
	run(t, "btrfs", "subvolume", "create", dir)
	return dir
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

func TestLabClaims(t *testing.T) {
	onB, onX := mountBtrfs(t), mountXFS(t)
	noReflink := mountImage(t, "mkfs.xfs", "-q", "-m", "reflink=0")
	tests := []struct {
		name           string
		dir            string
		btrfs, reflink bool
	}{
		{"btrfs", onB, true, false},
		{"XFS", onX, false, true},
		{"XFS without reflink", noReflink, false, false},
	}
	for _, tt := range tests {
		disk := rawDisk(filepath.Join(tt.dir, "disk.raw"))
		must(t, os.WriteFile(disk.Source.File, []byte("x"), 0o600))
		for m, want := range map[*Method]bool{New(): tt.btrfs, NewReflink(): tt.reflink} {
			if got := m.Claim(t.Context(), disk); (got.Rank > 0) != want {
				t.Errorf("%s on %s: %+v, want %v", m.Traits().Name, tt.name, got, want)
			}
		}
	}
}

func TestLabAlone(t *testing.T) {
	mount := mountBtrfs(t)
	subvolume, plain := newSubvolume(t, mount), newDir(t, mount)
	disk := filepath.Join(subvolume, "disk.raw")
	alone := func(dir string, want bool) {
		t.Helper()
		p, err := openPlace(filepath.Join(dir, "disk.raw"))
		must(t, err)
		defer p.Close()
		if got, err := p.alone(); err != nil || got != want {
			t.Errorf("alone in %s: %v, %v; want %v", dir, got, err, want)
		}
	}
	must(t, os.WriteFile(disk, nil, 0o600))
	must(t, os.Mkdir(filepath.Join(subvolume, storeName), 0o700))
	alone(subvolume, true)
	alone(plain, false)
	must(t, os.WriteFile(filepath.Join(subvolume, "other.raw"), nil, 0o600))
	alone(subvolume, false)
	alone(mount, false)
}

func TestLabReadOnly(t *testing.T) {
	r := newRig(t, New(), newSubvolume(t, mountBtrfs(t)), "subvolume")
	run(t, "btrfs", "property", "set", r.dir, "ro", "true")
	_, err := r.plan("snap1")
	wantError(t, err, methods.ErrBlocked)
}

// A file of a mount with nodatasum and one of a mount without look alike and share nothing.
func TestLabRehearsalFindsNoSums(t *testing.T) {
	mount := mountBtrfs(t)
	run(t, "mount", "-o", "remount,nodatasum", mount)
	r := newRig(t, NewReflink(), newDir(t, mount), "reflink")
	run(t, "mount", "-o", "remount,datasum", mount)
	ref, err := r.plan("snap1")
	must(t, err)
	err = r.method.Take(t.Context(), ref)
	wantError(t, err, methods.ErrBlocked)
	r.drop(t, ref)
	r.checkClean(t)
}

// TestLabQuotasAreWarnedOf, and what is not on btrfs is not.
func TestLabQuotasAreWarnedOf(t *testing.T) {
	onB, onX := mountBtrfs(t), mountXFS(t)
	r := newRig(t, New(), newSubvolume(t, onB), "subvolume")
	wantWarnings(t, r, 0)
	run(t, "btrfs", "quota", "enable", onB)
	wantWarnings(t, r, 1)
	run(t, "btrfs", "quota", "disable", onB)
	wantWarnings(t, r, 0)
	wantWarnings(t, newRig(t, NewReflink(), newDir(t, onX), "reflink"), 0)
}

func wantWarnings(t *testing.T, r *rig, want int) {
	t.Helper()
	got, err := r.method.Warn(t.Context(), r.disk)
	must(t, err)
	if len(got) != want {
		t.Errorf("it warns of %+v", got)
	}
}
