//go:build lab

package lvm

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

// labOpen reads a snapshot through the method.
func labOpen(t *testing.T, m *Method, ref methods.Ref) []byte {
	t.Helper()
	c, err := m.Open(t.Context(), ref)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	got, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size()))
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatalf("%+v", err)
	}
	return got
}

// labChanges wants all that differs in the list, and says how much there is in it.
func labChanges(t *testing.T, m *Method, disk methods.Disk, refs ...methods.Ref) int64 {
	t.Helper()
	req := methods.ChangesRequest{From: refs[0], Disk: disk}
	before, after := labOpen(t, m, refs[0]), []byte(nil)
	if len(refs) > 1 {
		req.To, after = &refs[1], labOpen(t, m, refs[1])
	} else {
		after = labRead(t, disk.Source.Dev)
	}
	extents, err := m.Changes(t.Context(), req)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	end := int64(0)
	for _, e := range append(slices.Clone(extents), methods.Extent{Offset: labSize}) {
		if e.Offset < end || e.End() > labSize {
			t.Fatalf("%+v begins before %d or ends behind the disk: %v", e, end, extents)
		}
		if !bytes.Equal(before[end:e.Offset], after[end:e.Offset]) {
			t.Errorf("between %d and %d something has changed that is not listed: %v", end, e.Offset, extents)
		}
		end = e.End()
	}
	if refs[0].Mode == modeThin {
		labPoolIsFree(t)
	}
	return methods.TotalLength(extents)
}

// labPoolIsFree wants no metadata snapshot, and no mark of one.
func labPoolIsFree(t *testing.T) {
	t.Helper()
	status := strings.Fields(labRun(t, "dmsetup", "status", "vg0-pool0-tpool"))
	tags := strings.TrimSpace(labRun(t, "lvs", "--noheadings", "-o", "lv_tags", "vg0/pool0"))
	if len(status) < 7 || status[6] != "-" || tags != "" {
		t.Errorf("the pool has %q and the tags %q", status, tags)
	}
}

// labDiscard discards; a thick volume with snapshots cannot, and gets zeros.
func labDiscard(t *testing.T, disk methods.Disk, offset, length int64) {
	t.Helper()
	how := "-f"
	if strings.HasSuffix(t.Name(), modeThick) {
		how = "-fz"
	}
	labRun(t, "blkdiscard", how, "-o", strconv.FormatInt(offset, 10), "-l", strconv.FormatInt(length, 10), disk.Source.Dev)
}

// labWriteHere writes everywhere a little, next to what is there already and over it.
func labWriteHere(t *testing.T, disk methods.Disk, fill byte, step int64) {
	t.Helper()
	for at := step / 3 / 512 * 512; at+70000 < labSize; at += step {
		labWrite(t, disk, fill, at, 1+at*97%70000)
	}
	labWrite(t, disk, fill, labSize-512, 512)
}

func TestLabChanges(t *testing.T) {
	eachMode(t, func(t *testing.T, m *Method, disk methods.Disk) {
		labWrite(t, disk, 'a', 0, 8<<20)
		first := labTakeSized(t, m, disk, "first")
		if n := labChanges(t, m, disk, first); n != 0 {
			t.Errorf("nothing was written, and %d bytes may have changed", n)
		}
		labWrite(t, disk, 'b', 1<<20, 4096)
		if n := labChanges(t, m, disk, first); n == 0 || n > 1<<20 {
			t.Errorf("4096 bytes were written, and %d may have changed", n)
		}
		labWriteHere(t, disk, 'c', 3<<20)
		labChanges(t, m, disk, first)
		second := labTakeSized(t, m, disk, "second")
		labDiscard(t, disk, 2<<20, 3<<20)
		labDiscard(t, disk, 20<<20, 6<<20)
		labChanges(t, m, disk, first)
		labChanges(t, m, disk, second)
		labWriteHere(t, disk, 'd', 5<<20)
		third := labTakeSized(t, m, disk, "third")
		labWrite(t, disk, 'e', 0, labSize)
		refs := []methods.Ref{first, second, third}
		for _, from := range refs {
			if n := labChanges(t, m, disk, from); n < labSize-1<<20 {
				t.Errorf("all was written, and %d bytes may have changed", n)
			}
			for _, to := range refs {
				labChanges(t, m, disk, from, to)
			}
		}
	})
}

// labTakeSized takes a thick snapshot that all of the disk fits into.
func labTakeSized(t *testing.T, m *Method, disk methods.Disk, id string) methods.Ref {
	t.Helper()
	ref := labPlan(t, m, disk, id)
	if ref.Mode == modeThick {
		ref.Reserve = 40 << 20
	}
	if err := m.Take(t.Context(), ref); err != nil {
		t.Fatalf("%+v", err)
	}
	labDropAfter(t, m, ref)
	return ref
}

func TestLabChangesAfterRevert(t *testing.T) {
	eachMode(t, func(t *testing.T, m *Method, disk methods.Disk) {
		labWriteHere(t, disk, 'a', 2<<20)
		first := labTakeSized(t, m, disk, "first")
		labWriteHere(t, disk, 'b', 3<<20)
		second := labTakeSized(t, m, disk, "second")
		labDiscard(t, disk, 1<<20, 3<<20)
		for i, to := range []methods.Ref{first, second, first} {
			labRevert(t, m, methods.RevertRequest{To: to, Disk: disk})
			if n := labChanges(t, m, disk, to); to.Mode == modeThin && n != 0 {
				t.Errorf("the disk went back, and %d bytes may have changed", n)
			}
			labWriteHere(t, disk, byte('0'+i), 4<<20)
			for _, from := range []methods.Ref{first, second} {
				labChanges(t, m, disk, from)
			}
			labChanges(t, m, disk, first, second)
			if got, err := m.List(t.Context(), disk); err != nil || !slices.Equal(got, []string{"ds-first-vda", "ds-second-vda"}) {
				t.Errorf("list after a revert: %q, %v", got, err)
			}
		}
	})
}

// TestLabChangesOfStaleMetadataSnap: one that a process of ours left is replaced, another one stays.
func TestLabChangesOfStaleMetadataSnap(t *testing.T) {
	m, disk := New(command.Host{}), labDisk(t, true)
	first := labTake(t, m, disk, "first")
	labRun(t, "dmsetup", "message", "vg0-pool0-tpool", "0", "reserve_metadata_snap")
	labWrite(t, disk, 'a', 0, 1<<20)
	_, err := m.Changes(t.Context(), methods.ChangesRequest{From: first, Disk: disk})
	if !errors.Is(err, methods.ErrUnsupported) {
		t.Errorf("somebody's: %v", err)
	}
	t.Log(err)
	labRun(t, "lvchange", "--addtag", metadataTag, "vg0/pool0")
	if n := labChanges(t, m, disk, first); n != 1<<20 {
		t.Errorf("%d bytes may have changed", n)
	}
}

func TestLabChangesSideBySide(t *testing.T) {
	m, disk := New(command.Host{}), labDisk(t, true)
	first := labTake(t, m, disk, "first")
	labWrite(t, disk, 'a', 0, 1<<20)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			got, err := m.Changes(t.Context(), methods.ChangesRequest{From: first, Disk: disk})
			if err != nil || methods.TotalLength(got) != 1<<20 {
				t.Errorf("%v, %+v", got, err)
			}
		})
	}
	group.Wait()
	labPoolIsFree(t)
}

func labActive(t *testing.T, volume string) bool {
	t.Helper()
	return strings.TrimSpace(labRun(t, "lvs", "--noheadings", "-o", "lv_active", volume)) == "active"
}

func TestLabOpen(t *testing.T) {
	eachMode(t, func(t *testing.T, m *Method, disk methods.Disk) {
		labWriteHere(t, disk, 'a', 2<<20)
		want := labRead(t, disk.Source.Dev)
		ref := labTakeSized(t, m, disk, "first")
		labWriteHere(t, disk, 'b', 1<<20)
		before := labActive(t, ref.Name)
		if before != (ref.Mode == modeThick) {
			t.Errorf("active at rest: %t", before)
		}
		first, err := m.Open(t.Context(), ref)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		if !bytes.Equal(labOpen(t, m, ref), want) || !bytes.Equal(labRead(t, "/dev/"+ref.Name), want) {
			t.Error("the snapshot is not what the disk was")
		}
		if err := first.Close(); err != nil || labActive(t, ref.Name) != before {
			t.Errorf("activation is not as before, %+v", err)
		}
		labRun(t, "lvchange", "-ay", "-K", "-y", ref.Name)
		if !bytes.Equal(labOpen(t, m, ref), want) || !labActive(t, ref.Name) {
			t.Error("it was active before")
		}
		if ref.Mode == modeThin {
			labRun(t, "lvchange", "-an", ref.Name)
		}
		labNodes(t)
	})
}

// TestLabOpenInactive: a snapshot of a volume that is not active, and another process that reads it too.
func TestLabOpenInactive(t *testing.T) {
	eachMode(t, func(t *testing.T, m *Method, disk methods.Disk) {
		labWrite(t, disk, 'a', 0, 1<<20)
		want := labRead(t, disk.Source.Dev)
		ref := labTake(t, m, disk, "first")
		labRun(t, "lvchange", "-an", "-y", ref.Origin)
		if !bytes.Equal(labOpen(t, m, ref), want) || labActive(t, ref.Name) || labActive(t, ref.Origin) {
			t.Error("not as it was before")
		}
		c, err := m.Open(t.Context(), ref)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		other, err := os.Open("/dev/" + ref.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil || !labActive(t, ref.Name) {
			t.Errorf("somebody reads: %+v", err)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		labRun(t, "lvchange", "-an", "-y", ref.Name)
		labRun(t, "lvchange", "-ay", "-y", ref.Origin)
	})
}

func TestLabOpenQcow2(t *testing.T) {
	eachMode(t, func(t *testing.T, m *Method, disk methods.Disk) {
		raw := filepath.Join(t.TempDir(), "raw")
		want := bytes.Repeat([]byte("domsnap\n"), 1<<17)
		if err := os.WriteFile(raw, want, 0o600); err != nil {
			t.Fatal(err)
		}
		labRun(t, "qemu-img", "create", "-q", "-f", "qcow2", disk.Source.Dev, "1M")
		labRun(t, "qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2", raw, disk.Source.Dev)
		disk.Format = "qcow2"
		ref := labTakeSized(t, m, disk, "first")
		if !bytes.Equal(labOpen(t, m, ref), want) {
			t.Error("not what the guest saw")
		}
		verbs, err := m.Probe(t.Context(), ref)
		if _, changes := m.Changes(t.Context(), methods.ChangesRequest{From: ref, Disk: disk}); err != nil || verbs.Changes || !errors.Is(changes, methods.ErrUnsupported) {
			t.Errorf("%+v, %v, %v", verbs, err, changes)
		}
		if active := labActive(t, ref.Name); active != (ref.Mode == modeThick) {
			t.Errorf("active: %t", active)
		}
	})
}

func TestLabList(t *testing.T) {
	eachMode(t, func(t *testing.T, m *Method, disk methods.Disk) {
		other := labDisk(t, strings.HasSuffix(t.Name(), modeThin))
		labTake(t, m, disk, "first")
		ready := labPlan(t, m, disk, "ready")
		labDropAfter(t, m, ready)
		if _, err := m.Prepare(t.Context(), []methods.Ref{ready}); err != nil {
			t.Fatalf("%+v", err)
		}
		want := []string{"ds-first-vda"}
		if ready.Mode == modeThick {
			want = append(want, "ds-ready-vda")
		}
		if got, err := m.List(t.Context(), disk); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v", got, err)
		}
		if got, err := m.List(t.Context(), other); err != nil || len(got) != 0 {
			t.Errorf("of another disk: %q, %v", got, err)
		}
		disk.Target = "vdb"
		if got, err := m.List(t.Context(), disk); err != nil || len(got) != 0 {
			t.Errorf("of another target: %q, %v", got, err)
		}
	})
}

func TestLabThinDelta(t *testing.T) {
	if err := New(command.Host{}).checkThinDelta(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command(thinDelta, "--version").Output()
	t.Logf("%s %s", thinDelta, out)
}
