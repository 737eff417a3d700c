//go:build lab

package btrfs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

func planChangesNothing(t *testing.T, r *rig) {
	first, err := r.plan("snap1")
	must(t, err)
	second, err := r.plan("snap1")
	must(t, err)
	if first != second {
		t.Errorf("two plans differ: %+v, %+v", first, second)
	}
	r.checkClean(t)
}

func takeStatDrop(t *testing.T, r *rig) {
	ref := r.take(t, "snap1", 'a')
	info, err := r.method.Stat(t.Context(), ref)
	if err != nil || info.BytesUsed != -1 {
		t.Errorf("Stat: %+v, %v", info, err)
	}
	if st := inode(t, filepath.Join(r.dir, storeName)); st.Mode&0o7777 != 0o700 || st.Uid != 0 {
		t.Errorf("the store has mode %o and owner %d", st.Mode, st.Uid)
	}
	r.drop(t, ref)
	_, err = r.method.Stat(t.Context(), ref)
	wantError(t, err, methods.ErrNotFound)
	r.drop(t, ref)
	holds(t, r.path(), 'a')
}

func takeTwice(t *testing.T, r *rig) {
	first, err := r.plan("snap1")
	must(t, err)
	early, err := r.method.Prepare(t.Context(), []methods.Ref{first})
	must(t, err)
	ref := r.take(t, "snap1", 'a')
	wantError(t, early.Take(t.Context()), methods.ErrExists)
	must(t, early.Close(t.Context()))
	wantError(t, r.method.Take(t.Context(), ref), methods.ErrExists)
	_, err = r.plan("snap1")
	wantError(t, err, methods.ErrExists)
	holds(t, r.source(t, ref), 'a')
	r.drop(t, ref)
}

func snapshotIsImmutable(t *testing.T, r *rig) {
	ref := r.take(t, "snap1", 'a')
	r.fill(t, 'b')
	unix.Sync()
	holds(t, r.source(t, ref), 'a')
	holds(t, r.path(), 'b')
	r.drop(t, ref)
	holds(t, r.path(), 'b')
}

func revertTwice(t *testing.T, r *rig) {
	ref := r.take(t, "snap1", 'a')
	for _, fill := range []byte{'b', 'c'} {
		r.fill(t, fill)
		r.revert(t, ref)
		r.revert(t, ref)
		holds(t, r.path(), 'a')
	}
	holds(t, r.source(t, ref), 'a')
	r.drop(t, ref)
	holds(t, r.path(), 'a')
}

func revertKeepsFile(t *testing.T, r *rig) {
	ref := r.take(t, "snap1", 'a')
	other := filepath.Join(r.dir, "neighbour")
	must(t, os.WriteFile(other, []byte("stays"), 0o600))
	must(t, unix.Setxattr(r.path(), "trusted.domsnap", []byte("label"), 0))
	before := inode(t, r.path())
	r.fill(t, 'b')
	r.revert(t, ref)
	after := inode(t, r.path())
	if before.Ino != after.Ino || before.Mode != after.Mode || before.Uid != after.Uid || before.Size != after.Size {
		t.Errorf("the file changed: %+v, %+v", before, after)
	}
	if n, err := unix.Getxattr(r.path(), "trusted.domsnap", make([]byte, 8)); n != 5 {
		t.Errorf("the attribute is gone: %d, %v", n, err)
	}
	if got, err := os.ReadFile(other); string(got) != "stays" {
		t.Errorf("the neighbour changed: %q, %v", got, err)
	}
	r.drop(t, ref)
}

func revertInAnyOrder(t *testing.T, r *rig) {
	refs := map[byte]methods.Ref{}
	for _, fill := range []byte("abc") {
		refs[fill] = r.take(t, "snap"+string(fill), fill)
	}
	for _, fill := range []byte("bacb") {
		r.revert(t, refs[fill])
		holds(t, r.path(), fill)
	}
	for fill, ref := range refs {
		holds(t, r.source(t, ref), fill)
		r.drop(t, ref)
	}
}

func dropMiddle(t *testing.T, r *rig) {
	first, middle, last := r.take(t, "snap1", 'a'), r.take(t, "snap2", 'b'), r.take(t, "snap3", 'c')
	r.drop(t, middle)
	holds(t, r.source(t, first), 'a')
	holds(t, r.source(t, last), 'c')
	r.revert(t, first)
	holds(t, r.path(), 'a')
	r.drop(t, first)
	r.drop(t, last)
}

func preparedLeavesNothing(t *testing.T, r *rig) {
	ref, err := r.plan("snap1")
	must(t, err)
	ready, err := r.method.Prepare(t.Context(), []methods.Ref{ref})
	must(t, err)
	_, err = r.method.Stat(t.Context(), ref)
	wantError(t, err, methods.ErrNotFound)
	must(t, ready.Close(t.Context()))
	r.drop(t, ref)
}

func cancelledLeavesNothing(t *testing.T, r *rig) {
	ref, err := r.plan("snap1")
	must(t, err)
	ready, err := r.method.Prepare(t.Context(), []methods.Ref{ref})
	must(t, err)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, ready.Take(cancelled), context.Canceled)
	must(t, ready.Close(t.Context()))
	wantError(t, r.method.Take(cancelled, ref), context.Canceled)
	r.drop(t, ref)
}

func symlinkIsRefused(t *testing.T, r *rig) {
	ref, err := r.plan("snap1")
	must(t, err)
	must(t, os.Rename(r.path(), r.path()+".real"))
	must(t, os.Symlink(r.path()+".real", r.path()))
	_, err = r.plan("snap1")
	wantError(t, err, methods.ErrBlocked)
	wantError(t, r.method.Take(t.Context(), ref), methods.ErrBlocked)
}

// symlinkRace lets somebody who owns the directory swap the disk for a link while it is reverted.
func symlinkRace(t *testing.T, r *rig) {
	ref := r.take(t, "snap1", 'a')
	canary := filepath.Join(newDir(t, filepath.Dir(r.dir)), "canary")
	must(t, os.WriteFile(canary, make([]byte, diskSize), 0o600))
	end := time.Now().Add(300 * time.Millisecond)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for time.Now().Before(end) {
			_ = os.Rename(r.path(), r.path()+".real")
			_ = os.Symlink(canary, r.path())
			_ = os.Rename(r.path()+".real", r.path())
		}
	}()
	for time.Now().Before(end) {
		_, _ = r.method.Revert(t.Context(), r.request(ref))
	}
	<-done
	if got, err := os.ReadFile(canary); len(got) != diskSize || got[diskSize/2] != 0 {
		t.Errorf("the canary is dead: %v", err)
	}
	r.drop(t, ref)
}

func otherSizeIsBlocked(t *testing.T, r *rig) {
	ref := r.take(t, "snap1", 'a')
	must(t, os.Truncate(r.path(), diskSize*2))
	wantError(t, r.method.CheckRevert(t.Context(), r.request(ref)), methods.ErrBlocked)
	_, err := r.method.Revert(t.Context(), r.request(ref))
	wantError(t, err, methods.ErrBlocked)
	must(t, os.Remove(r.path()))
	wantError(t, r.method.CheckRevert(t.Context(), r.request(ref)), methods.ErrBlocked)
	other := r.request(ref)
	other.Disk.Source.File = "/elsewhere"
	wantError(t, r.method.CheckRevert(t.Context(), other), methods.ErrBlocked)
	r.drop(t, ref)
}

func otherContentIsBroken(t *testing.T, r *rig) {
	ref := r.take(t, "snap1", 'a')
	ref.Size++
	_, err := r.method.Stat(t.Context(), ref)
	wantError(t, err, methods.ErrBroken)
	wantError(t, r.method.CheckRevert(t.Context(), r.request(ref)), methods.ErrBroken)
	r.drop(t, ref)
}

func imageInUseIsBlocked(t *testing.T, r *rig) {
	ref := r.take(t, "snap1", 'a')
	qemu := exec.Command("qemu-io", "-f", "raw", "-c", "sleep 60000", r.path())
	must(t, qemu.Start())
	t.Cleanup(func() { _ = qemu.Process.Kill(); _ = qemu.Wait() })
	err := r.method.CheckRevert(t.Context(), r.request(ref))
	for range 100 {
		if err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
		err = r.method.CheckRevert(t.Context(), r.request(ref))
	}
	wantError(t, err, methods.ErrBlocked)
	_, err = r.method.Revert(t.Context(), r.request(ref))
	wantError(t, err, methods.ErrBlocked)
	r.drop(t, ref)
}

func writableDirectoryIsBlocked(t *testing.T, r *rig) {
	must(t, os.Chmod(r.dir, 0o777))
	_, err := r.plan("snap1")
	wantError(t, err, methods.ErrBlocked)
	must(t, os.Chmod(r.dir, 0o777|os.ModeSticky))
	_, err = r.plan("snap1")
	must(t, err)
}

func qcow2RoundTrip(t *testing.T, r *rig) {
	must(t, os.Remove(r.path()))
	r.disk = methods.Disk{Target: "vdb", Format: "qcow2", Source: methods.Source{File: filepath.Join(r.dir, "disk.qcow2")}}
	run(t, "qemu-img", "create", "-q", "-f", "qcow2", r.path(), "64M")
	ref, err := r.plan("snap1")
	must(t, err)
	if ref.Size != 64<<20 {
		t.Errorf("size is %d", ref.Size)
	}
	must(t, r.method.Take(t.Context(), ref))
	run(t, "qemu-io", "-f", "qcow2", "-c", "write -P 7 0 8M", r.path())
	r.revert(t, ref)
	run(t, "qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", r.path(), r.source(t, ref))
	run(t, "qemu-io", "-f", "qcow2", "-c", "read -P 0 0 8M", r.path())
	r.drop(t, ref)
}

// concurrentTakes also races the removal of the empty store.
func concurrentTakes(t *testing.T, r *rig) {
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 4 {
				ref, err := r.plan(fmt.Sprintf("snap%dx%d", i, j))
				if err == nil {
					err = r.method.Take(t.Context(), ref)
				}
				if err == nil {
					err = r.method.Drop(t.Context(), methods.DropRequest{Ref: ref, Disk: r.disk})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}
