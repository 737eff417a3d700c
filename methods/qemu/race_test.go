package qemu_test

import (
	"os"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/methodtest"
	"github.com/domsnap/domsnap/methods/qemu"
)

// TestRaceForTheOverlay: who owns the image directory puts links to somebody else's file where an overlay is made, taken,
// merged and dropped.
func TestRaceForTheOverlay(t *testing.T) {
	r := newRig(t)
	r.write(0, 'a')
	canary := methodtest.NewCanary(t, slot*slots)
	base, ref := r.disk("vda"), r.plan("sone")
	race := methodtest.StartRace(t, ref.Active, canary.Path)
	made := 0
	for end := time.Now().Add(methodtest.RaceTime(t)); time.Now().Before(end); {
		if r.Take(t.Context(), ref) == nil {
			made++
		}
		_ = r.Drop(t.Context(), methods.DropRequest{Ref: ref, Disk: r.disk("vda")})
		canary.Check()
		r.hypervisor.active["vda"] = qemu.Image{Path: base.Source.File, Format: base.Format}
		_ = r.Drop(t.Context(), methods.DropRequest{Ref: ref, Disk: r.disk("vda")})
	}
	swaps := race.End()
	canary.Check()
	if made == 0 || swaps == 0 {
		t.Errorf("%d overlays were made and %d swaps: nothing was tried", made, swaps)
	}
	t.Logf("%d overlays, %d swaps", made, swaps)
}

// TestRaceForTheBase: the image that an overlay is merged into becomes a link of another user's.
func TestRaceForTheBase(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a link of another user's")
	}
	r := newRigAt(t, "web1.raw")
	r.take("sone")
	r.write(0, 'x')
	canary := methodtest.NewCanary(t, slot*slots)
	base := r.snapshot("sone").Name
	if err := os.Rename(base, base+".aside"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(canary.Path, base); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(base, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if err := r.Drop(t.Context(), r.dropRequest("sone")); err == nil {
		t.Error("it was merged through the link")
	}
	canary.Check()
	// An administrator's link is as good as the image.
	if err := os.Remove(base); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("web1.raw.aside", base); err != nil {
		t.Fatal(err)
	}
	r.drop("sone")
	r.wantPresent("x...")
}
