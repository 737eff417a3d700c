package qemu_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/qemu"
)

// dying runs so many commands, and says of the last one and all that follow that they failed.
type dying int

// Run implements command.Runner.
func (left *dying) Run(ctx context.Context, name string, args ...string) ([]byte, error) {
	*left--
	if *left < 0 {
		return nil, errPlanned
	}
	out, err := command.Host{}.Run(ctx, name, args...)
	if *left == 0 {
		err = errors.Join(err, errPlanned)
	}
	return out, err
}

// wantSurvived: what has ended well, when it could run so many commands, has run some, and none that failed.
func wantSurvived(t *testing.T, commands, left dying) {
	t.Helper()
	if ran := commands - left; ran == 0 || left <= 0 {
		t.Errorf("it ended well with %d commands, of which number %d failed", ran, commands)
	}
}

// dropAgain is what recover does after a drop that died: a drop that was complete is recognised by the neighbour's old
// name, any other is done again.
func (r *rig) dropAgain(id string, renamed []methods.Ref) {
	r.t.Helper()
	for _, next := range renamed {
		if _, err := r.Stat(r.t.Context(), r.snapshot(next.Snapshot)); errors.Is(err, methods.ErrNotFound) {
			r.t.Fatalf("the drop was complete, and yet it failed")
		}
	}
	r.drop(id)
}

func TestDropThatDiesAnywhereIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	for n := dying(1); ; n++ {
		r := threeSnapshots(t, "web1.qcow2", false)
		r.revert("stwo", "skept")
		// The image of sone has one overlay, stwo, and that has two.
		req := r.dropRequest("sone")
		plan, err := r.PlanDrop(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		runner := n
		if err := qemu.New(r.hypervisor, &runner).Drop(t.Context(), req); err == nil {
			wantSurvived(t, n, runner)
			return
		}
		t.Run(fmt.Sprintf("after command %d", n), func(t *testing.T) {
			r.t = t
			r.dropAgain("sone", plan.Renamed)
			r.wantSnapshot("stwo", "ab..")
			r.wantSnapshot("sthree", "abc.")
			r.wantSnapshot("skept", "abcd")
			r.wantPresent("ab..")
			r.wantFiles("web1.qcow2", "web1.ds-stwo-vda.qcow2", "web1.ds-sthree-vda.qcow2", "web1.ds-skept-vda.qcow2")
		})
	}
}

// What was killed before it made the overlay of a running domain has left the file that was reserved for it.
func TestReservedOverlayGoesWhileTheDomainRuns(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "QF", "no image"} {
		r := newRig(t)
		r.running = true
		ref := r.plan("sone")
		if err := os.WriteFile(ref.Active, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.Drop(t.Context(), methods.DropRequest{Ref: ref, Disk: r.disk("vda"), Stage: methods.Abandoned}); err != nil {
			t.Errorf("%q: %v", content, err)
		}
		r.wantFiles("web1.qcow2")
	}
}

// idle says of one act of qemu-img that it is done, and does nothing.
type idle string

// Run implements command.Runner.
func (act idle) Run(ctx context.Context, name string, args ...string) ([]byte, error) {
	if args[0] == string(act) {
		return nil, nil
	}
	return command.Host{}.Run(ctx, name, args...)
}

func TestOverlayThatWasNotMadeIsNotUsed(t *testing.T) {
	t.Parallel()
	r := threeSnapshots(t, "web1.qcow2", false)
	lied := qemu.New(r.hypervisor, idle("create"))
	req := methods.RevertRequest{To: r.snapshot("sone"), Disk: r.disk("vda")}
	if _, err := lied.Revert(t.Context(), req); err == nil {
		t.Error("the revert went on with an overlay that is none")
	}
	ref := r.plan("sfour")
	if err := lied.Take(t.Context(), ref); err == nil {
		t.Error("the disk was moved to an overlay that is none")
	}
	if err := r.Drop(t.Context(), methods.DropRequest{Ref: ref, Disk: r.disk("vda"), Stage: methods.Abandoned}); err != nil {
		t.Error(err)
	}
	r.wantPresent("abcd")
}
