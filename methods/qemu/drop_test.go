package qemu_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/qemu"
)

// threeSnapshots is a chain in which every snapshot has written a slot of its own.
func threeSnapshots(t *testing.T, image string, running bool) *rig {
	t.Helper()
	r := newRigAt(t, image)
	r.running = running
	for i, id := range []string{"sone", "stwo", "sthree"} {
		r.write(i, byte('a'+i))
		r.take(id)
	}
	r.write(3, 'd')
	return r
}

func TestDropKeepsThePresentAndTheOthers(t *testing.T) {
	t.Parallel()
	content := map[string]string{"sone": "a...", "stwo": "ab..", "sthree": "abc."}
	for _, image := range []string{"web1.qcow2", "web1.raw"} {
		for _, running := range []bool{false, true} {
			for gone := range content {
				t.Run(image+" "+gone, func(t *testing.T) {
					t.Parallel()
					if running && image == "web1.raw" {
						return // the fake's block job knows qcow2 only
					}
					r := threeSnapshots(t, image, running)
					r.drop(gone)
					for id, want := range content {
						if id != gone {
							r.wantSnapshot(id, want)
						}
					}
					r.wantPresent("abcd")
				})
			}
		}
	}
}

// TestMergeTellsHowFarItIs: from the beginning to the end.
func TestMergeTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	r := threeSnapshots(t, "web1.qcow2", false)
	var told []int64
	req := r.dropRequest("stwo")
	req.Progress = func(done, total int64) {
		if total != slot*slots {
			t.Errorf("told %d of %d", done, total)
		}
		told = append(told, done)
	}
	if err := r.Drop(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if len(told) == 0 || !slices.IsSorted(told) || told[len(told)-1] != slot*slots {
		t.Errorf("told %d", told)
	}
}

// TestDropDisturbsWhoReadsThroughIt: a merge writes to the image, and all that are built on it are read through it.
func TestDropDisturbsWhoReadsThroughIt(t *testing.T) {
	t.Parallel()
	r := threeSnapshots(t, "web1.qcow2", false)
	for id, want := range map[string][]string{"sone": {"sthree", "stwo"}, "stwo": {"sthree"}, "sthree": nil} {
		plan, err := r.PlanDrop(t.Context(), r.dropRequest(id))
		slices.Sort(plan.Disturbs)
		if err != nil || !slices.Equal(plan.Disturbs, want) {
			t.Errorf("the drop of %s disturbs %q, %v", id, plan.Disturbs, err)
		}
	}
}

func TestDropsInAnyOrderLeaveTheFirstImage(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{
		{"sone", "stwo", "sthree"}, {"sthree", "stwo", "sone"}, {"stwo", "sone", "sthree"}, {"stwo", "sthree", "sone"},
	} {
		r := threeSnapshots(t, "web1.qcow2", false)
		for _, id := range order {
			r.drop(id)
		}
		r.wantPresent("abcd")
		r.wantFiles("web1.qcow2")
	}
}

func TestImageWithTwoOverlaysHasToStay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write(0, 'a')
	r.take("sone")
	r.write(1, 'b')
	r.revert("sone", "skept")
	req := r.dropRequest("sone")
	plan, err := r.PlanDrop(t.Context(), req)
	if err != nil || len(plan.NeededBy) != 2 {
		t.Errorf("the plan is %+v, %v", plan, err)
	}
	if err := r.Drop(t.Context(), req); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("the drop ended with %v", err)
	}
	r.wantSnapshot("sone", "a...")
	r.drop("skept")
	r.drop("sone")
	r.wantPresent("a...")
	r.wantFiles("web1.qcow2")
}

func TestAllOverlaysOfTheMergedImageAreRebased(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write(0, 'a')
	r.take("sone")
	r.write(1, 'b')
	r.take("stwo")
	r.write(2, 'c')
	r.revert("stwo", "skept")
	// Built on each other: sone, stwo, and on that both the present and what was kept.
	r.drop("sone")
	r.wantSnapshot("stwo", "ab..")
	r.wantSnapshot("skept", "abc.")
	r.wantPresent("ab..")
	if got := r.snapshot("stwo").Name; got != r.snapshots[0].Name {
		t.Errorf("stwo is recorded at %s", got)
	}
}

func TestDropTwiceIsNoError(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.take("sone")
	req := r.dropRequest("sone")
	r.drop("sone")
	req.Disk = r.disk("vda")
	if err := r.Drop(t.Context(), req); err != nil {
		t.Error(err)
	}
	r.wantFiles("web1.qcow2")
}

func TestDropOfASnapshotWithoutOverlaysUnlinksIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.take("sone")
	r.write(0, 'x')
	r.revert("sone", "skept")
	r.drop("skept")
	r.wantPresent("....")
	r.wantFiles("web1.qcow2", "web1.ds-sone-vda.qcow2")
}

// TestImageOfAReplacedDiskHasToStay: what the disk wrote to before somebody gave it another image is on the snapshot's
// image still, and only its owner knows what for.
func TestImageOfAReplacedDiskHasToStay(t *testing.T) {
	t.Parallel()
	for _, replace := range []func(r *rig, base string){
		func(r *rig, _ string) { r.addDisk("vda", "other.qcow2") },
		func(r *rig, base string) {
			path := filepath.Join(r.dir, "clone.qcow2")
			r.img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, path)
			r.hypervisor.active["vda"] = qemu.Image{Path: path, Format: "qcow2"}
		},
		func(r *rig, _ string) { delete(r.hypervisor.active, "vda") },
	} {
		r := newRig(t)
		r.take("sone")
		replace(r, r.snapshot("sone").Name)
		req := r.dropRequest("sone")
		if err := r.Drop(t.Context(), req); !errors.Is(err, methods.ErrBlocked) {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(req.Ref.Name); err != nil {
			t.Error(err)
		}
	}
}

// TestPlanDropFindsAJobThatIsInTheWay: only of a merge that QEMU does.
func TestPlanDropFindsAJobThatIsInTheWay(t *testing.T) {
	t.Parallel()
	r := threeSnapshots(t, "web1.qcow2", false)
	r.revert("stwo", "skept")
	r.hypervisor.busy = methods.Blockedf("a block job runs")
	for _, c := range []struct {
		id      string
		running bool
		want    error
	}{
		{"sone", true, methods.ErrBlocked},
		{"sone", false, nil},
		{"sthree", true, nil}, // nothing is built on it
	} {
		r.running = c.running
		if _, err := r.PlanDrop(t.Context(), r.dropRequest(c.id)); !errors.Is(err, c.want) {
			t.Errorf("of %s, the domain runs: %t: %v", c.id, c.running, err)
		}
	}
}
