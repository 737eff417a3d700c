package qemu_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/qemu"
)

func TestMethodsOfBothModesAreToldApart(t *testing.T) {
	t.Parallel()
	outside, inside := qemu.New(nil, nil), qemu.NewInternal(nil, nil)
	set := methods.Set{outside, inside}
	for mode, want := range map[string]methods.Method{"": outside, "external": outside, "internal": inside} {
		if got, err := set.Get("qemu", mode); err != nil || got != want {
			t.Errorf("mode %q is %T, %v", mode, got, err)
		}
	}
}

func TestInternalSnapshotComesAndGoes(t *testing.T) {
	t.Parallel()
	for _, image := range []string{"web1.qcow2", "a,b=c.qcow2", "-json:{} '\".qcow2"} {
		for _, running := range []bool{false, true} {
			r := newInsideRig(t, image)
			r.running = running
			r.write(0, 'a')
			one := r.takeInside("sone")
			r.write(0, 'b')
			two := r.takeInside("stwo")
			r.wantInside("ds-sone-vda", "ds-stwo-vda")
			r.dropInside(one)
			r.dropInside(one)
			r.wantInside("ds-stwo-vda")
			r.wantPresent("b...")
			r.dropInside(two)
			r.wantInside()
			if asked := len(r.monitor.asked); asked != map[bool]int{true: 4}[running] {
				t.Errorf("running %v: QEMU was asked %d times", running, asked)
			}
			r.wantFiles(image)
		}
	}
}

func TestInternalRefIsKnownBefore(t *testing.T) {
	t.Parallel()
	r := newInsideRig(t, "web1.qcow2")
	want := methods.Ref{
		Snapshot: "sone", Method: "qemu", Mode: "internal", Disk: r.disk("vda"), Name: "ds-sone-vda",
		Origin: filepath.Join(r.dir, "web1.qcow2"), Size: slot * slots, Lock: "qemu:" + r.disk("vda").Domain.UUID,
	}
	for range 2 {
		if diff := cmp.Diff(want, r.planInside("vda", "sone")); diff != "" {
			t.Error(diff)
		}
	}
	r.wantInside()
	if _, err := r.inside.Stat(t.Context(), want); !errors.Is(err, methods.ErrNotFound) {
		t.Errorf("before it is taken: %v", err)
	}
}

func TestInternalSnapshotsOfAllDisksAreOneTransaction(t *testing.T) {
	t.Parallel()
	r := newInsideRig(t, "web1.qcow2")
	r.addDisk("vdb", "other.qcow2")
	r.running = true
	refs := []methods.Ref{r.planInside("vda", "sone"), r.planInside("vdb", "sone")}
	ready, err := r.inside.Prepare(t.Context(), refs)
	if err != nil || len(r.monitor.asked) > 0 {
		t.Fatal(err, r.monitor.asked)
	}
	if err := errors.Join(ready.Take(t.Context()), ready.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	want := []qemu.InternalSnapshot{
		{Target: "vda", File: refs[0].Origin, Name: "ds-sone-vda"}, {Target: "vdb", File: refs[1].Origin, Name: "ds-sone-vdb"},
	}
	if diff := cmp.Diff(want, r.monitor.asked); diff != "" {
		t.Error(diff)
	}
}

func TestInternalTakeThatFailsLeavesNoTrace(t *testing.T) {
	t.Parallel()
	r := newInsideRig(t, "web1.qcow2")
	r.running, r.monitor.fails = true, errPlanned
	ref := r.planInside("vda", "sone")
	if err := r.inside.Take(t.Context(), ref); !errors.Is(err, errPlanned) {
		t.Errorf("it ended with %v", err)
	}
	r.dropInside(ref)
	r.wantInside()
}

func TestInternalTakeTwiceIsErrExists(t *testing.T) {
	t.Parallel()
	r := newInsideRig(t, "web1.qcow2")
	ref := r.takeInside("sone")
	if err := r.inside.Take(t.Context(), ref); !errors.Is(err, methods.ErrExists) {
		t.Errorf("the second take: %v", err)
	}
	if _, err := r.inside.Plan(t.Context(), methods.PlanRequest{Disk: r.disk("vda"), ID: "sone"}); !errors.Is(err, methods.ErrExists) {
		t.Errorf("the plan: %v", err)
	}
	r.wantInside("ds-sone-vda")
}

func TestInternalPlanRefusesWhatCannotBeDone(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*insideRig, *methods.PlanRequest){
		"a raw image":    func(_ *insideRig, q *methods.PlanRequest) { q.Disk.Format = "raw" },
		"a network disk": func(_ *insideRig, q *methods.PlanRequest) { q.Disk.Source = methods.Source{Other: "nbd:x"} },
		"another mode":   func(_ *insideRig, q *methods.PlanRequest) { q.Spec = someSpec{"mode": "external"} },
		"an overlay":     func(_ *insideRig, q *methods.PlanRequest) { q.Spec = someSpec{"file": "/img/x.qcow2"} },
		"an encrypted image": func(r *insideRig, q *methods.PlanRequest) {
			path := filepath.Join(r.dir, "secret.qcow2")
			r.img("create", "-q", "-f", "qcow2", "--object", "secret,id=s,data=x", "-o", "encrypt.format=aes,encrypt.key-secret=s", path, "1M")
			q.Disk.Source.File = path
		},
	} {
		r := newInsideRig(t, "web1.qcow2")
		req := methods.PlanRequest{Disk: r.disk("vda"), ID: "sone", Spec: someSpec{"mode": "internal"}}
		if _, err := r.inside.Plan(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		edit(r, &req)
		if _, err := r.inside.Plan(t.Context(), req); !errors.Is(err, methods.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInternalRevertTwiceIsTheSameAsOnce(t *testing.T) {
	t.Parallel()
	r := newInsideRig(t, "web1.qcow2")
	r.write(0, 'a')
	one := r.takeInside("sone")
	r.write(1, 'b')
	two := r.takeInside("stwo")
	r.write(2, 'c')
	for _, c := range []struct {
		to    methods.Ref
		again bool
		want  string
	}{{one, false, "a..."}, {one, true, "a..."}, {two, false, "ab.."}, {one, false, "a..."}} {
		r.revertInside(methods.RevertRequest{To: c.to, Disk: r.disk("vda"), Again: c.again})
		r.wantPresent(c.want)
		r.write(3, 'x')
	}
	r.wantInside("ds-sone-vda", "ds-stwo-vda")
	r.img("check", "-q", "-f", "qcow2", one.Origin)
}

func TestInternalRevertFindsTheBlocker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		set  func(*insideRig, *methods.Ref)
		want error
	}{
		{"the domain runs", func(r *insideRig, _ *methods.Ref) { r.running = true }, methods.ErrBlocked},
		{"the image is gone", func(r *insideRig, ref *methods.Ref) {
			if err := os.Remove(ref.Origin); err != nil {
				r.t.Fatal(err)
			}
		}, methods.ErrNotFound},
		{"the snapshot is gone", func(r *insideRig, ref *methods.Ref) { r.img("snapshot", "-d", ref.Name, ref.Origin) }, methods.ErrNotFound},
		{"there are two of the name", func(r *insideRig, ref *methods.Ref) { r.img("snapshot", "-c", ref.Name, ref.Origin) }, methods.ErrBlocked},
		{"the name is a number", func(_ *insideRig, ref *methods.Ref) { ref.Name = "1" }, methods.ErrBlocked},
		{"the disk has grown", func(r *insideRig, ref *methods.Ref) { r.img("resize", "-q", "-f", "qcow2", ref.Origin, "10M") }, methods.ErrBlocked},
		{"the disk is on an overlay", func(r *insideRig, _ *methods.Ref) { r.take("stwo") }, methods.ErrUnsupported},
	} {
		r := newInsideRig(t, "web1.qcow2")
		ref := r.takeInside("sone")
		c.set(r, &ref)
		err := r.inside.CheckRevert(t.Context(), methods.RevertRequest{To: ref, Disk: r.disk("vda")})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestInternalSnapshotBelowAnOverlayGoesWhenTheDomainIsOff(t *testing.T) {
	t.Parallel()
	r := newInsideRig(t, "web1.qcow2")
	ref := r.takeInside("sone")
	r.take("stwo")
	r.running = true
	r.wantInside("ds-sone-vda")
	req := methods.DropRequest{Ref: ref, Disk: r.disk("vda")}
	if plan, err := r.inside.PlanDrop(t.Context(), req); err != nil || len(plan.NeededBy) != 1 {
		t.Errorf("the plan is %+v, %v", plan, err)
	}
	if err := r.inside.Drop(t.Context(), req); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("the drop ended with %v", err)
	}
	r.running = false
	r.dropInside(ref)
	r.wantInside()
}

func TestInternalPlanDropFindsAJobThatIsInTheWay(t *testing.T) {
	t.Parallel()
	r := newInsideRig(t, "web1.qcow2")
	ref := r.takeInside("sone")
	r.monitor.busy = methods.Blockedf("a block job runs")
	for _, running := range []bool{true, false} {
		r.running = running
		_, err := r.inside.PlanDrop(t.Context(), methods.DropRequest{Ref: ref, Disk: r.disk("vda")})
		if errors.Is(err, methods.ErrBlocked) != running {
			t.Errorf("the domain runs: %t: %v", running, err)
		}
	}
}

func TestInternalDropOfADiskThatIsGone(t *testing.T) {
	t.Parallel()
	r := newInsideRig(t, "web1.qcow2")
	ref := r.takeInside("sone")
	for range 2 {
		if err := r.inside.Drop(t.Context(), methods.DropRequest{Ref: ref}); err != nil {
			t.Fatal(err)
		}
	}
	r.wantInside()
	if err := os.Remove(ref.Origin); err != nil {
		t.Fatal(err)
	}
	if err := r.inside.Drop(t.Context(), methods.DropRequest{Ref: ref}); err != nil {
		t.Error(err)
	}
}

// TestInternalRevertThatDiesIsDoneAgain: content is all old or all new, and the next attempt ends well.
func TestInternalRevertThatDiesIsDoneAgain(t *testing.T) {
	t.Parallel()
	for n := dying(1); ; n++ {
		r := newInsideRig(t, "web1.qcow2")
		r.write(0, 'a')
		ref := r.takeInside("sone")
		r.write(0, 'b')
		req := methods.RevertRequest{To: ref, Disk: r.disk("vda")}
		runner := n
		if _, err := qemu.NewInternal(nil, &runner).Revert(t.Context(), req); err == nil {
			wantSurvived(t, n, runner)
			return
		}
		req.Again = true
		if _, err := r.inside.Revert(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		r.wantPresent("a...")
	}
}

var _ command.Runner = (*dying)(nil)
