//go:build lab

package btrfs

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// changesChecks are those of the list of changes; they also run where the file system compresses.
var changesChecks = map[string]func(*testing.T, *rig){
	"ChangesNone":            changesNone,
	"ChangesCover":           changesCover,
	"ChangesOfSameData":      changesOfSameData,
	"ChangesOfHoles":         changesOfHoles,
	"ChangesOfMovedExtents":  changesOfMovedExtents,
	"ChangesBetween":         changesBetween,
	"ChangesOfManyExtents":   changesOfManyExtents,
	"ChangesOfOddSize":       changesOfOddSize,
	"ChangesOfPreallocation": changesOfPreallocation,
	"ChangesRefused":         changesRefused,
}

func TestLabCompressed(t *testing.T) {
	mount := mountBtrfs(t)
	run(t, "mount", "-o", "remount,compress-force=zstd", mount)
	for name, check := range changesChecks {
		for kind, make := range map[string]func() *rig{
			"subvolume": func() *rig { return newRig(t, New(), newSubvolume(t, mount), "subvolume") },
			"reflink":   func() *rig { return newRig(t, NewReflink(), newDir(t, mount), "reflink") },
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				r := make()
				check(t, r)
				r.checkClean(t)
			})
		}
	}
}

// changes asks for those up to a later snapshot; nil is the disk.
func (r *rig) changes(from methods.Ref, to *methods.Ref) ([]methods.Extent, error) {
	return r.method.Changes(context.Background(), methods.ChangesRequest{From: from, To: to, Disk: r.disk})
}

// wantChanges wants all that differs in the list, and says how much there is in it.
func (r *rig) wantChanges(t *testing.T, from methods.Ref, to *methods.Ref) int64 {
	t.Helper()
	extents, err := r.changes(from, to)
	must(t, err)
	before, after := r.read(t, from), []byte(nil)
	if to == nil {
		after, err = os.ReadFile(r.path())
		must(t, err)
	} else {
		after = r.read(t, *to)
	}
	end := int64(0)
	for _, e := range append(extents, methods.Extent{Offset: from.Size}) {
		if e.Offset < end || e.End() > from.Size {
			t.Fatalf("%+v begins before %d or ends behind %d: %v", e, end, from.Size, extents)
		}
		if !bytes.Equal(before[end:e.Offset], after[end:e.Offset]) {
			t.Errorf("between %d and %d something has changed that is not listed: %v", end, e.Offset, extents)
		}
		end = e.End()
	}
	return methods.TotalLength(extents)
}

func (r *rig) read(t *testing.T, ref methods.Ref) []byte {
	t.Helper()
	c, err := r.method.Open(t.Context(), ref)
	must(t, err)
	defer c.Close()
	got, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size()))
	must(t, err)
	return got
}

// change writes to the disk.
func (r *rig) change(t *testing.T, do func(f *os.File) error) {
	t.Helper()
	f, err := os.OpenFile(r.path(), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	must(t, do(f))
}

func (r *rig) write(t *testing.T, data []byte, at int64) {
	t.Helper()
	r.change(t, func(f *os.File) error {
		_, err := f.WriteAt(data, at)
		return err
	})
}

func noise(size int) []byte {
	data, random := make([]byte, size), rand.NewChaCha8([32]byte{byte(size)})
	_, _ = random.Read(data)
	return data
}

// text is what can be compressed.
func text(fill byte, size int) []byte { return bytes.Repeat([]byte{fill}, size) }

func changesNone(t *testing.T, r *rig) {
	ref := r.take(t, "snap1", 'a')
	if n := r.wantChanges(t, ref, nil); n != 0 {
		t.Errorf("nothing was written, and %d bytes may have changed", n)
	}
	r.fill(t, 'b')
	if n := r.wantChanges(t, ref, nil); n < diskSize/2 || n > diskSize/2+512<<10 {
		t.Errorf("%d bytes were written, and %d may have changed", diskSize/2, n)
	}
	r.revert(t, ref)
	if n := r.wantChanges(t, ref, nil); n != 0 {
		t.Errorf("the disk went back, and %d bytes may have changed", n)
	}
	r.drop(t, ref)
}

// changesCover writes here and there.
func changesCover(t *testing.T, r *rig) {
	ref := r.take(t, "snap1", 'a')
	for i := range int64(24) {
		size := int(i*i*97%200000) + 1
		data := text(byte(i), size)
		if i%3 == 0 {
			data = noise(size)
		}
		r.write(t, data, i*7919*331%(diskSize-200001))
		if i%8 == 7 {
			r.wantChanges(t, ref, nil)
		}
	}
	r.drop(t, ref)
}

func changesOfSameData(t *testing.T, r *rig) {
	ref := r.take(t, "snap1", 'a')
	r.write(t, text('0', 64<<10), 128<<10)
	if n := r.wantChanges(t, ref, nil); n > 256<<10 {
		t.Errorf("64 KiB were written, and %d bytes may have changed", n)
	}
	r.drop(t, ref)
}

func changesOfHoles(t *testing.T, r *rig) {
	punch := func(at, length int64) {
		r.change(t, func(f *os.File) error {
			return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, length)
		})
	}
	punch(1<<20, 1<<20)
	ref := r.take(t, "snap1", 'a')
	punch(0, 300<<10+100)
	if n := r.wantChanges(t, ref, nil); n < 300<<10 || n > 512<<10 {
		t.Errorf("300 KiB were punched, and %d bytes may have changed", n)
	}
	r.write(t, text('h', 4096), 1<<20+8192)
	r.wantChanges(t, ref, nil)
	r.drop(t, ref)
}

// changesOfPreallocation: a hole and what is preallocated read the same; what is preallocated and written does not.
func changesOfPreallocation(t *testing.T, r *rig) {
	r.change(t, func(f *os.File) error {
		if err := f.Truncate(1 << 20); err != nil {
			return err
		}
		if err := f.Truncate(diskSize); err != nil {
			return err
		}
		return unix.Fallocate(int(f.Fd()), 0, 4<<20, 1<<20)
	})
	ref, err := r.plan("snap1")
	must(t, err)
	must(t, r.method.Take(t.Context(), ref))
	r.change(t, func(f *os.File) error { return unix.Fallocate(int(f.Fd()), 0, 2<<20, 1<<20) })
	if n := r.wantChanges(t, ref, nil); n != 0 {
		t.Errorf("room was set aside, and %d bytes may have changed", n)
	}
	for _, at := range []int64{2<<20 + 12345, 4<<20 + 12345, 7 << 20} {
		r.write(t, text('p', 5000), at)
	}
	r.change(t, func(f *os.File) error { return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_ZERO_RANGE, 0, 64<<10) })
	if n := r.wantChanges(t, ref, nil); n < 64<<10 || n > 512<<10 {
		t.Errorf("80 KiB were written, and %d bytes may have changed", n)
	}
	r.drop(t, ref)
}

// changesOfMovedExtents lets one extent stand for another, as deduplication does: an address alone, without the
// position in a compressed extent, would be the same.
func changesOfMovedExtents(t *testing.T, r *rig) {
	const half = 64 << 10
	r.write(t, slices.Concat(text('x', half), text('y', half)), 0)
	unix.Sync()
	r.write(t, text('z', 1<<20), half)
	unix.Sync()
	r.write(t, slices.Concat(text('x', half), text('y', half)), 2<<20)
	unix.Sync()
	clone := func(from, to uint64) {
		r.change(t, func(f *os.File) error {
			return unix.IoctlFileCloneRange(int(f.Fd()), &unix.FileCloneRange{
				Src_fd: int64(f.Fd()), Src_offset: from, Src_length: half, Dest_offset: to,
			})
		})
	}
	clone(2<<20, 3<<20)
	ref, err := r.plan("snap1")
	must(t, err)
	must(t, r.method.Take(t.Context(), ref))
	clone(2<<20+half, 3<<20)
	clone(2<<20+half, 2<<20)
	if n := r.wantChanges(t, ref, nil); n < 2*half {
		t.Errorf("%d bytes have changed, and %d are listed", 2*half, n)
	}
	clone(2<<20+half, 4<<20)
	r.wantChanges(t, ref, nil)
	r.drop(t, ref)
}

func changesBetween(t *testing.T, r *rig) {
	refs := []methods.Ref{r.take(t, "snap1", 'a')}
	for i, id := range []string{"snap2", "snap3"} {
		r.write(t, noise(70000), int64(i)*100000)
		refs = append(refs, r.take(t, id, byte('b'+i)))
	}
	for _, from := range refs {
		r.wantChanges(t, from, nil)
		for _, to := range refs {
			if n := r.wantChanges(t, from, &to); (n == 0) != (from == to) {
				t.Errorf("between %s and %s %d bytes may have changed", from.Name, to.Name, n)
			}
		}
	}
	r.drop(t, refs[1])
	_, err := r.changes(refs[0], &refs[1])
	wantError(t, err, methods.ErrNotFound)
	_, err = r.changes(refs[1], nil)
	wantError(t, err, methods.ErrNotFound)
	r.drop(t, refs[0])
	r.drop(t, refs[2])
}

// changesOfManyExtents needs more than one page of the map.
func changesOfManyExtents(t *testing.T, r *rig) {
	const step = 4 << 10
	ref := r.take(t, "snap1", 'a')
	r.change(t, func(f *os.File) error {
		for at := int64(0); at < diskSize; at += 2 * step {
			if _, err := f.WriteAt(noise(step), at); err != nil {
				return err
			}
		}
		return f.Sync()
	})
	if n := r.wantChanges(t, ref, nil); n < diskSize/2 {
		t.Errorf("%d bytes have changed, and %d are listed", diskSize/2, n)
	}
	f, err := os.Open(r.path())
	must(t, err)
	defer f.Close()
	if extents, err := fiemap(t.Context(), f, diskSize); len(extents) <= fiemapPage || err != nil {
		t.Errorf("the disk has %d extents: %v", len(extents), err)
	}
	r.drop(t, ref)
}

// changesOfOddSize: the last block is not the disk's to its end.
func changesOfOddSize(t *testing.T, r *rig) {
	const odd = diskSize/2 + 512
	must(t, os.Truncate(r.path(), odd))
	ref, err := r.plan("snap1")
	must(t, err)
	must(t, r.method.Take(t.Context(), ref))
	if n := r.wantChanges(t, ref, nil); n != 0 {
		t.Errorf("nothing was written, and %d bytes may have changed", n)
	}
	r.write(t, text('e', 10), odd-10)
	if n := r.wantChanges(t, ref, nil); n < 10 || n > 256<<10 {
		t.Errorf("10 bytes were written, and %d may have changed", n)
	}
	r.drop(t, ref)
}

func changesRefused(t *testing.T, r *rig) {
	ref := r.take(t, "snap1", 'a')
	request := methods.ChangesRequest{From: ref, Disk: r.disk}
	request.Disk.Source.File += ".moved"
	_, err := r.method.Changes(t.Context(), request)
	wantError(t, err, methods.ErrUnsupported)
	must(t, os.Truncate(r.path(), diskSize*2))
	_, err = r.changes(ref, nil)
	wantError(t, err, methods.ErrBlocked)
	r.drop(t, ref)
	_, err = r.method.Open(t.Context(), ref)
	wantError(t, err, methods.ErrNotFound)
}

// listSeesAll wants the snapshots of this disk, and not those of another one beside it with the same target.
func listSeesAll(t *testing.T, r *rig) {
	list := func(disk methods.Disk, want ...string) {
		t.Helper()
		got, err := r.method.List(t.Context(), disk)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("List of %s: %v, %v; want %v", disk.Source, got, err, want)
		}
	}
	list(r.disk)
	second, first := r.take(t, "snap2", 'b'), r.take(t, "snap1", 'a')
	list(r.disk, "ds-snap1-vda", "ds-snap2-vda")
	other := rawDisk(filepath.Join(r.dir, ".other.raw"))
	must(t, os.WriteFile(other.Source.File, noise(1<<20), 0o600))
	list(other)
	ready, err := r.method.Plan(t.Context(), methods.PlanRequest{Disk: other, ID: "snap3"})
	must(t, err)
	if ready.Mode == "reflink" {
		must(t, r.method.Take(t.Context(), ready))
		list(other, "ds-snap3-vda")
		r.drop(t, ready)
	}
	list(r.disk, "ds-snap1-vda", "ds-snap2-vda")
	r.drop(t, first)
	list(r.disk, "ds-snap2-vda")
	r.drop(t, second)
	list(r.disk)
}

// qcow2IsRead reads what the guest saw, not the file.
func qcow2IsRead(t *testing.T, r *rig) {
	must(t, os.Remove(r.path()))
	r.disk = methods.Disk{Target: "vdb", Format: "qcow2", Source: methods.Source{File: filepath.Join(r.dir, "disk.qcow2")}}
	run(t, "qemu-img", "create", "-q", "-f", "qcow2", r.path(), "8M")
	run(t, "qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 1M", r.path())
	ref, err := r.plan("snap1")
	must(t, err)
	must(t, r.method.Take(t.Context(), ref))
	run(t, "qemu-io", "-f", "qcow2", "-c", "write -P 8 1M 1M", r.path())
	_, err = r.changes(ref, nil)
	wantError(t, err, methods.ErrUnsupported)
	if got := r.read(t, ref); !bytes.Equal(got, slices.Concat(make([]byte, 1<<20), text(7, 1<<20), make([]byte, 6<<20))) {
		t.Errorf("the snapshot reads as something else: %d bytes", len(got))
	}
	r.drop(t, ref)
}
