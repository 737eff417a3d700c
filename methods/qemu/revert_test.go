package qemu_test

import (
	"errors"
	"os"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/qemu"
)

func TestRevertTwiceIsTheSameAsOnce(t *testing.T) {
	t.Parallel()
	r := threeSnapshots(t, "web1.qcow2", false)
	for range 2 {
		r.revert("stwo", "")
		r.wantPresent("ab..")
		r.write(3, 'x')
	}
	r.wantSnapshot("sone", "a...")
	r.wantSnapshot("stwo", "ab..")
	r.wantSnapshot("sthree", "abc.")
}

func TestRevertToTheOlderAndThenToTheYounger(t *testing.T) {
	t.Parallel()
	r := threeSnapshots(t, "web1.raw", false)
	for _, c := range []struct{ id, want string }{{"sone", "a..."}, {"sthree", "abc."}, {"stwo", "ab.."}, {"sthree", "abc."}} {
		r.revert(c.id, "")
		r.wantPresent(c.want)
	}
}

func TestRevertKeepsThePresentWhenAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write(0, 'a')
	r.take("sone")
	r.write(1, 'b')
	r.revert("sone", "skept")
	r.wantPresent("a...")
	r.wantSnapshot("skept", "ab..")
	r.revert("skept", "")
	r.wantPresent("ab..")
	r.wantSnapshot("skept", "ab..")
}

func TestRevertThatIsDoneAgainKeepsThePresentOfTheFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write(0, 'a')
	r.take("sone")
	r.write(1, 'b')
	keep, err := r.PlanKeep(t.Context(), methods.PlanRequest{Disk: r.disk("vda"), ID: "skept"})
	if err != nil {
		t.Fatal(err)
	}
	req := methods.RevertRequest{To: r.snapshot("sone"), Disk: r.disk("vda"), Keep: &keep}
	for range 2 {
		if _, err := r.Revert(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	r.snapshots = append(r.snapshots, keep)
	r.wantPresent("a...")
	r.wantSnapshot("skept", "ab..")
	r.wantFiles("web1.qcow2", "web1.ds-sone-vda.qcow2", "web1.ds-skept-vda.qcow2")
}

func TestRevertGoesOnAfterALeftover(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.take("sone")
	r.write(0, 'b')
	if err := os.WriteFile(r.hypervisor.active["vda"].Path+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.revert("sone", "")
	r.wantPresent("....")
}

func TestCheckRevertFindsTheBlocker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		set  func(*rig)
		want error
	}{
		{"the domain runs", func(r *rig) { r.running = true }, methods.ErrBlocked},
		{"the image is gone", func(r *rig) {
			if err := os.Remove(r.snapshot("sone").Name); err != nil {
				r.t.Fatal(err)
			}
		}, methods.ErrNotFound},
		{"the disk has grown", func(r *rig) {
			r.img("resize", "-q", "-f", "qcow2", r.hypervisor.active["vda"].Path, "10M")
		}, methods.ErrBlocked},
		{"the disk is the image itself", func(r *rig) {
			r.hypervisor.active["vda"] = qemu.Image{Path: r.snapshot("sone").Name, Format: "qcow2"}
		}, methods.ErrNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.take("sone")
			c.set(r)
			err := r.CheckRevert(t.Context(), methods.RevertRequest{To: r.snapshot("sone"), Disk: r.disk("vda")})
			if !errors.Is(err, c.want) {
				t.Errorf("it ended with %v, want %v", err, c.want)
			}
		})
	}
}
