package qemu_test

import (
	"errors"
	"os"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func TestSnapshotKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	for _, image := range []string{"web1.qcow2", "web1.raw"} {
		t.Run(image, func(t *testing.T) {
			t.Parallel()
			r := newRigAt(t, image)
			r.write(0, 'a')
			r.take("sone")
			r.write(1, 'b')
			r.take("stwo")
			r.write(0, 'c')
			r.wantSnapshot("sone", "a...")
			r.wantSnapshot("stwo", "ab..")
			r.wantPresent("cb..")
		})
	}
}

func TestAllDisksMoveInOneTransaction(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addDisk("vdb", "other.raw")
	b, err := r.Plan(t.Context(), methods.PlanRequest{Disk: r.disk("vdb"), ID: "sone"})
	if err != nil {
		t.Fatal(err)
	}
	ready, err := r.Prepare(t.Context(), []methods.Ref{r.plan("sone"), b})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ready.Take(t.Context()), ready.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	if len(r.hypervisor.asked) != 1 || r.hypervisor.active["vdb"].Path != b.Active {
		t.Errorf("the hypervisor was asked for %q", r.hypervisor.asked)
	}
}

func TestTakeThatFailsLeavesTheDiskAndNoTrace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write(0, 'a')
	ref := r.plan("sone")
	r.hypervisor.putFails = errPlanned
	if err := r.Take(t.Context(), ref); !errors.Is(err, errPlanned) {
		t.Errorf("the take ended with %v", err)
	}
	if _, err := r.Stat(t.Context(), ref); !errors.Is(err, methods.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
	req := methods.DropRequest{Ref: ref, Disk: r.disk("vda")}
	if err := r.Drop(t.Context(), req); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("drop of what may be the present of a disk that is on the image of a snapshot: %v", err)
	}
	req.Stage = methods.Abandoned
	for range 2 {
		if err := r.Drop(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	r.wantPresent("a...")
	r.wantFiles("web1.qcow2")
}

func TestTakeThatOnlyReportsAFailureCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.hypervisor.putFails, r.hypervisor.moveAnyway = errPlanned, true
	r.take("sone")
}

func TestUndoOfATakenSnapshotGivesTheDiskItsImageBack(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{false, true} {
		r := newRig(t)
		r.running = running
		r.write(0, 'a')
		r.take("sone")
		r.write(1, 'b')
		r.drop("sone")
		r.wantPresent("ab..")
		r.wantFiles("web1.qcow2")
	}
}

func TestPrepareTwiceIsErrExists(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ref := r.plan("sone")
	for _, want := range []error{nil, methods.ErrExists} {
		if _, err := r.Prepare(t.Context(), []methods.Ref{ref}); !errors.Is(err, want) {
			t.Errorf("prepare ended with %v, want %v", err, want)
		}
	}
}

func TestStatOfAnImageThatIsGoneIsErrNotFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.take("sone")
	ref := r.snapshot("sone")
	if err := os.Remove(ref.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Stat(t.Context(), ref); !errors.Is(err, methods.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
}
