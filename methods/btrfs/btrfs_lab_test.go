//go:build lab

// The tests behind the tag "lab" need root, loop devices, mkfs.btrfs, mkfs.xfs, chattr and qemu-io.
package btrfs

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

const diskSize = 8 << 20

// rig is a method with a disk it is for. Each check has a new one.
type rig struct {
	method *Method
	disk   methods.Disk
	dir    string
	mode   string
}

// checks hold for every way on every file system.
var checks = map[string]func(*testing.T, *rig){
	"PlanChangesNothing":         planChangesNothing,
	"RaceForTheStore":            raceForTheStore,
	"RaceForTheDisk":             raceForTheDisk,
	"TakeStatDrop":               takeStatDrop,
	"TakeTwice":                  takeTwice,
	"SnapshotIsImmutable":        snapshotIsImmutable,
	"RevertTwice":                revertTwice,
	"RevertKeepsFile":            revertKeepsFile,
	"RevertInAnyOrder":           revertInAnyOrder,
	"DropMiddle":                 dropMiddle,
	"PreparedLeavesNothing":      preparedLeavesNothing,
	"CancelledLeavesNothing":     cancelledLeavesNothing,
	"SymlinkIsRefused":           symlinkIsRefused,
	"SymlinkRace":                symlinkRace,
	"OtherSizeIsBlocked":         otherSizeIsBlocked,
	"OtherContentIsBroken":       otherContentIsBroken,
	"ImageInUseIsBlocked":        imageInUseIsBlocked,
	"WritableDirectoryIsBlocked": writableDirectoryIsBlocked,
	"Qcow2":                      qcow2RoundTrip,
	"ConcurrentTakes":            concurrentTakes,
	"ListSeesAll":                listSeesAll,
	"Qcow2IsRead":                qcow2IsRead,
}

func TestLab(t *testing.T) {
	onB, onX := mountBtrfs(t), mountXFS(t)
	rigs := map[string]func(*testing.T) *rig{
		"btrfs-subvolume": func(t *testing.T) *rig { return newRig(t, New(), newSubvolume(t, onB), "subvolume") },
		"btrfs-shared":    func(t *testing.T) *rig { return newRig(t, New(), newDir(t, onB), "reflink") },
		"btrfs-nocow":     func(t *testing.T) *rig { return newNoCOWRig(t, newDir(t, onB), "reflink") },
		"btrfs-nocow-own": func(t *testing.T) *rig { return newNoCOWRig(t, newSubvolume(t, onB), "subvolume") },
		"reflink-btrfs":   func(t *testing.T) *rig { return newRig(t, NewReflink(), newSubvolume(t, onB), "reflink") },
		"reflink-xfs":     func(t *testing.T) *rig { return newRig(t, NewReflink(), newDir(t, onX), "reflink") },
	}
	all := maps.Clone(checks)
	maps.Copy(all, changesChecks)
	for kind, make := range rigs {
		for name, check := range all {
			t.Run(kind+"/"+name, func(t *testing.T) {
				r := make(t)
				check(t, r)
				r.checkClean(t)
			})
		}
	}
}

func newRig(t *testing.T, m *Method, dir, mode string) *rig {
	r := &rig{method: m, disk: rawDisk(filepath.Join(dir, "it's a <disk>.raw")), dir: dir, mode: mode}
	must(t, os.WriteFile(r.path(), bytes.Repeat([]byte{'0'}, diskSize), 0o640))
	must(t, os.Chown(r.path(), 64055, 64055))
	return r
}

func newNoCOWRig(t *testing.T, dir, mode string) *rig {
	r := &rig{method: New(), disk: rawDisk(filepath.Join(dir, "disk.raw")), dir: dir, mode: mode}
	must(t, os.WriteFile(r.path(), nil, 0o640))
	run(t, "chattr", "+C", r.path())
	must(t, os.WriteFile(r.path(), bytes.Repeat([]byte{'0'}, diskSize), 0o640))
	return r
}

func (r *rig) path() string { return r.disk.Source.File }

func (r *rig) plan(id string) (methods.Ref, error) {
	return r.method.Plan(context.Background(), methods.PlanRequest{Disk: r.disk, ID: id})
}

// take writes the fill over part of the disk and takes a snapshot of that.
func (r *rig) take(t *testing.T, id string, fill byte) methods.Ref {
	t.Helper()
	r.fill(t, fill)
	ref, err := r.plan(id)
	must(t, err)
	if ref.Mode != r.mode {
		t.Fatalf("mode is %s, want %s", ref.Mode, r.mode)
	}
	must(t, r.method.Take(context.Background(), ref))
	return ref
}

func (r *rig) fill(t *testing.T, fill byte) {
	t.Helper()
	f, err := os.OpenFile(r.path(), os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(bytes.Repeat([]byte{fill}, diskSize/2), diskSize/4+1)
	must(t, err)
}

func (r *rig) drop(t *testing.T, ref methods.Ref) {
	t.Helper()
	must(t, r.method.Drop(context.Background(), methods.DropRequest{Ref: ref, Disk: r.disk}))
}

func (r *rig) request(ref methods.Ref) methods.RevertRequest {
	return methods.RevertRequest{To: ref, Disk: r.disk}
}

func (r *rig) revert(t *testing.T, ref methods.Ref) {
	t.Helper()
	must(t, r.method.CheckRevert(context.Background(), r.request(ref)))
	done, err := r.method.Revert(context.Background(), r.request(ref))
	must(t, err)
	if done != (methods.Reverted{How: methods.HowNative}) {
		t.Errorf("Revert: %+v", done)
	}
}

func (r *rig) source(t *testing.T, ref methods.Ref) string {
	t.Helper()
	s, err := r.method.Source(context.Background(), ref)
	must(t, err)
	return s.URI
}

// checkClean wants no trace of any snapshot.
func (r *rig) checkClean(t *testing.T) {
	t.Helper()
	if _, err := os.Lstat(filepath.Join(r.dir, storeName)); !os.IsNotExist(err) {
		out, _ := os.ReadDir(filepath.Join(r.dir, storeName))
		t.Errorf("the store is left: %v, %v", out, err)
	}
}

// holds wants the file to be as fill left it.
func holds(t *testing.T, path string, fill byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	must(t, err)
	want := bytes.Repeat([]byte{'0'}, diskSize)
	copy(want[diskSize/4+1:], bytes.Repeat([]byte{fill}, diskSize/2))
	if !bytes.Equal(got, want) {
		t.Errorf("%s does not hold %q: %d bytes, %q in the middle", path, fill, len(got), got[len(got)/2])
	}
}

func inode(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	return st
}

// TestLabTimes prints what the guest waits for, and what a revert takes.
func TestLabTimes(t *testing.T) {
	onB, onX := mountBtrfs(t), mountXFS(t)
	for _, r := range []*rig{
		newRig(t, New(), newSubvolume(t, onB), "subvolume"),
		newRig(t, New(), newDir(t, onB), "reflink"),
		newRig(t, NewReflink(), newDir(t, onX), "reflink"),
	} {
		must(t, os.WriteFile(r.path(), bytes.Repeat([]byte{'s'}, 128<<20), 0))
		for i, extents := range []int{1, 1000, 4000} {
			// What is shared is written elsewhere, on XFS too.
			shared, err := r.plan(fmt.Sprintf("base%d", i))
			must(t, err)
			must(t, r.method.Take(t.Context(), shared))
			scatter(t, r.path(), extents)
			r.drop(t, shared)
			for range 2 {
				r.times(t, fmt.Sprintf("time%d", i))
			}
		}
	}
}

func (r *rig) times(t *testing.T, id string) {
	disk, err := os.Open(r.path())
	must(t, err)
	defer disk.Close()
	extents, err := fiemap(t.Context(), disk, 128<<20)
	must(t, err)
	ref, err := r.plan(id)
	must(t, err)
	start := time.Now()
	ready, err := r.method.Prepare(context.Background(), []methods.Ref{ref})
	must(t, err)
	prepared := time.Now()
	must(t, ready.Take(context.Background()))
	taken := time.Now()
	must(t, ready.Close(t.Context()))
	closed := time.Now()
	r.revert(t, ref)
	reverted := time.Now()
	_, err = r.changes(ref, nil)
	must(t, err)
	t.Logf("%s %s, %d extents: prepare %v, take %v, close %v, revert %v, changes %v", r.method.Traits().Name, r.mode, len(extents),
		prepared.Sub(start), taken.Sub(prepared), closed.Sub(taken), reverted.Sub(closed), time.Since(reverted))
	r.drop(t, ref)
}

// scatter gives the file about that many extents.
func scatter(t *testing.T, path string, extents int) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	step := int64(128<<20) / int64(extents)
	for i := range int64(extents / 2) {
		_, err := f.WriteAt(bytes.Repeat([]byte{'s'}, 4096), i*2*step&^4095)
		must(t, err)
	}
	must(t, f.Sync())
}
