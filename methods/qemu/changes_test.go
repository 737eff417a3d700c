package qemu_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/qemu"
)

// io runs commands of qemu-io on the present image, as the guest's writes and discards.
func (r *rig) io(commands ...string) {
	r.t.Helper()
	active := r.hypervisor.active["vda"]
	args := []string{"-f", active.Format, "-d", "unmap"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	if _, err := (command.Host{}).Run(r.t.Context(), "qemu-io", append(args, active.Path)...); err != nil {
		r.t.Fatalf("%+v", err)
	}
}

func (r *rig) changes(from string, to *methods.Ref) []methods.Extent {
	r.t.Helper()
	extents, err := r.Changes(r.t.Context(), methods.ChangesRequest{From: r.snapshot(from), To: to, Disk: r.disk("vda")})
	if err != nil {
		r.t.Fatal(err)
	}
	return extents
}

// raw is an image's content.
func (r *rig) raw(image qemu.Image) []byte {
	r.t.Helper()
	out := filepath.Join(r.t.TempDir(), "raw")
	r.img("convert", "-f", image.Format, "-O", "raw", image.Path, out)
	content, err := os.ReadFile(out)
	if err != nil {
		r.t.Fatal(err)
	}
	return content
}

// state is a snapshot, or nil for the present, and its content.
type state struct {
	ref     *methods.Ref
	content []byte
}

func (r *rig) state(id string) state {
	r.t.Helper()
	if id == "" {
		return state{nil, r.raw(r.hypervisor.active["vda"])}
	}
	ref := r.snapshot(id)
	return state{&ref, r.raw(qemu.Image{Path: ref.Name, Format: ref.Disk.Format})}
}

// checkChanges compares what the storage says with what the bytes say: outside of the extents both sides are the same.
func (r *rig) checkChanges(from, to state) {
	r.t.Helper()
	extents := r.changes(from.ref.Snapshot, to.ref)
	a, b := bytes.Clone(from.content), bytes.Clone(to.content)
	var next int64
	for _, e := range extents {
		if e.Length <= 0 || e.Offset < next || e.End() > int64(len(a)) {
			r.t.Fatalf("the extents from %s are %v of %d bytes", from.ref.Snapshot, extents, len(a))
		}
		clear(a[e.Offset:e.End()])
		clear(b[e.Offset:e.End()])
		next = e.End() + 1
	}
	if !bytes.Equal(a, b) {
		r.t.Errorf("from %s to %v it differs outside of %v", from.ref.Snapshot, to.ref, extents)
	}
}

func TestChangesAreWhatWasWrittenZeroedAndDiscardedSince(t *testing.T) {
	t.Parallel()
	for _, image := range []string{"web1.qcow2", "web1.raw"} {
		r := newRigAt(t, image)
		r.io("write -P 1 0 256k")
		r.take("sone")
		if got := r.changes("sone", nil); len(got) > 0 {
			t.Errorf("nothing was written, and yet %v", got)
		}
		r.io("write -P 2 0 64k", "discard 128k 64k")
		r.take("stwo")
		r.io("write -z 192k 64k")
		want := []methods.Extent{{Offset: 0, Length: slot}, {Offset: 2 * slot, Length: 2 * slot}}
		if diff := cmp.Diff(want, r.changes("sone", nil)); diff != "" {
			t.Error(diff)
		}
		two := r.snapshot("stwo")
		if diff := cmp.Diff([]methods.Extent{want[0], {Offset: 2 * slot, Length: slot}}, r.changes("sone", &two)); diff != "" {
			t.Error(diff)
		}
		one := r.snapshot("sone")
		if diff := cmp.Diff(r.changes("sone", &two), r.changes("stwo", &one)); diff != "" {
			t.Errorf("backwards it is something else: %s", diff)
		}
	}
}

func TestChangesBetweenBranchesAreThoseOfBoth(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.take("sone")
	r.write(1, 'b')
	r.take("stwo")
	r.revert("sone", "skept")
	r.write(3, 'd')
	want := []methods.Extent{{Offset: slot, Length: slot}, {Offset: 3 * slot, Length: slot}}
	if diff := cmp.Diff(want, r.changes("stwo", nil)); diff != "" {
		t.Error(diff)
	}
	r.checkChanges(r.state("stwo"), r.state(""))
	r.checkChanges(r.state("skept"), r.state(""))
}

func TestChangesOfUnrelatedOrResizedImagesAreNotKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		set  func(r *rig)
		want error
	}{
		{"another disk", func(r *rig) { r.addDisk("vda", "other.qcow2") }, methods.ErrUnsupported},
		{"a disk that has grown", func(r *rig) {
			r.img("resize", "-q", "-f", "qcow2", r.hypervisor.active["vda"].Path, "10M")
		}, methods.ErrBlocked},
		{"an image that is gone", func(r *rig) {
			if err := os.Remove(r.snapshot("sone").Name); err != nil {
				r.t.Fatal(err)
			}
		}, methods.ErrNotFound},
	} {
		r := newRig(t)
		r.take("sone")
		c.set(r)
		_, err := r.Changes(t.Context(), methods.ChangesRequest{From: r.snapshot("sone"), Disk: r.disk("vda")})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestChangesMissNothing compares with the bytes, over every pair of states of a tree that grew at random.
func TestChangesMissNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		growAndCompare(t, seed, 4)
	}
}

func growAndCompare(t *testing.T, seed uint64, rounds int) {
	r, random := newRig(t), rand.New(rand.NewPCG(seed, 0))
	for n := range rounds {
		for range 3 {
			at, length := random.IntN(slot*(slots-1)), 1+random.IntN(slot)
			r.io(fmt.Sprintf([]string{"write -P 7 %d %d", "write -z %d %d", "discard %d %d"}[random.IntN(3)], at, length))
		}
		r.take(fmt.Sprintf("snap%d", n))
		if random.IntN(3) == 0 {
			r.revert(r.snapshots[random.IntN(len(r.snapshots))].Snapshot, fmt.Sprintf("kept%d", n))
		}
	}
	r.io("write -P 9 1000 70000")
	states := []state{r.state("")}
	for _, s := range r.snapshots {
		states = append(states, r.state(s.Snapshot))
	}
	for _, from := range states[1:] {
		for _, to := range states {
			r.checkChanges(from, to)
		}
	}
}
