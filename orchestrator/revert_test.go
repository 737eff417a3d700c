package orchestrator_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/xmlspec"
)

// twoSnapshots is a domain that is off, with the snapshots one and two and a present that differs from both.
func twoSnapshots(t *testing.T, more ...func(*rig) methods.Method) *rig {
	t.Helper()
	r := newRig(t, more...).off()
	r.write("a one", "b one")
	r.take("one")
	r.write("a two", "b two")
	r.take("two")
	r.write("a now", "b now")
	return r
}

var errStart = errors.New("started although it was on")

func revertTo(name string) orchestrator.RevertOptions {
	return orchestrator.RevertOptions{Domain: "web1", Snapshot: name, NoSafety: true}
}

func TestRevertTwiceIsTheSameAsOnce(t *testing.T) {
	r := twoSnapshots(t)
	for range 2 {
		if _, err := r.Revert(t.Context(), revertTo("one")); err != nil {
			t.Fatal(err)
		}
		r.wantContent("a one", "b one")
	}
	r.wantNames("one", "two")
}

func TestRevertToTheOlderAndThenToTheYounger(t *testing.T) {
	r := twoSnapshots(t)
	for _, name := range []string{"one", "two", "one", "two"} {
		if _, err := r.Revert(t.Context(), revertTo(name)); err != nil {
			t.Fatal(err)
		}
		r.wantContent("a "+name, "b "+name)
		if s, err := r.Current(t.Context(), "web1"); err != nil || s.Name != name {
			t.Errorf("current is %+v, %v", s, err)
		}
	}
}

func TestRevertTellsWhatItDid(t *testing.T) {
	r := twoSnapshots(t)
	got, err := r.Revert(t.Context(), revertTo("one"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Disks {
		got.Disks[i].TookMS = 0
	}
	want := &orchestrator.RevertResult{
		Domain: "web1", RevertedTo: "one", DomainState: orchestrator.Shutoff,
		Disks: []orchestrator.RevertedDisk{
			{Target: "vda", InPlace: true, How: methods.HowNative, BytesWritten: 5},
			{Target: "vdb", InPlace: true, How: methods.HowNative, BytesWritten: 5},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSafetySnapshotUndoesARevert(t *testing.T) {
	for name, more := range map[string][]func(*rig) methods.Method{"taken": nil, "kept by the revert": {keeping}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, more...).off()
			r.write("a one", "b one")
			r.takeBy("one", r.Methods[len(r.Methods)-1].Traits().Name)
			r.write("a now", "b now")
			result := r.revert("one")
			r.wantContent("a one", "b one")
			if result.Safety == nil {
				t.Fatal("there is no safety snapshot")
			}
			if _, err := r.Revert(t.Context(), revertTo(*result.Safety)); err != nil {
				t.Fatal(err)
			}
			r.wantContent("a now", "b now")
			r.wantNames("one", *result.Safety)
		})
	}
}

func TestSafetySnapshotDerivesFromWhereTheDomainWas(t *testing.T) {
	r := twoSnapshots(t)
	result := r.revert("one")
	s, err := r.Info(t.Context(), "web1", *result.Safety)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Safety || s.Parent == nil || *s.Parent != "two" || s.Consistency.Level != "offline" {
		t.Errorf("it is %+v", s)
	}
}

func TestRevertOfOneDiskLetsItStray(t *testing.T) {
	r := twoSnapshots(t)
	opts := revertTo("one")
	opts.Disks = []string{"vdb"}
	if _, err := r.Revert(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	r.wantContent("a now", "b one")
	l := r.lineage()
	want := []xmlspec.Position{{Target: "vdb", Snapshot: l.Snapshots[0].ID}}
	if diff := cmp.Diff(want, l.Strayed); diff != "" || l.Current != l.Snapshots[1].ID {
		t.Errorf("current is %s, strayed: %s", l.Current, diff)
	}
	if _, err := r.Revert(t.Context(), revertTo("two")); err != nil {
		t.Fatal(err)
	}
	if got := r.lineage().Strayed; len(got) > 0 {
		t.Errorf("after a whole revert there are strayed disks: %+v", got)
	}
}

func TestRevertEndsInTheState(t *testing.T) {
	for _, c := range []struct {
		name              string
		before, ask, want orchestrator.State
	}{
		{"off stays off", orchestrator.Shutoff, "", orchestrator.Shutoff},
		{"off, to be running", orchestrator.Shutoff, orchestrator.Running, orchestrator.Running},
		{"off, to be paused", orchestrator.Shutoff, orchestrator.Paused, orchestrator.Paused},
		{"running stays running", orchestrator.Running, "", orchestrator.Running},
		{"running, to be off", orchestrator.Running, orchestrator.Shutoff, orchestrator.Shutoff},
		{"paused stays paused", orchestrator.Paused, "", orchestrator.Paused},
		{"paused, to be running", orchestrator.Paused, orchestrator.Running, orchestrator.Running},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := twoSnapshots(t)
			r.enter(c.before)
			opts := revertTo("one")
			opts.Force, opts.After = true, c.ask
			result, err := r.Revert(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			if result.DomainState != c.want {
				t.Errorf("it says %s", result.DomainState)
			}
			r.wantState(c.want)
		})
	}
}

// enter brings the domain into a state.
func (r *rig) enter(s orchestrator.State) {
	r.domain.edit(func(d *fakeDomain) { d.on = s != orchestrator.Shutoff })
	r.guest.SetState(0, s == orchestrator.Paused)
}

func TestRevertIsRefusedBeforeAnythingMoves(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*rig, *orchestrator.RevertOptions)
		want error
	}{
		{"running, without force", func(r *rig, _ *orchestrator.RevertOptions) { r.enter(orchestrator.Running) }, orchestrator.ErrRefused},
		{"transient", func(r *rig, o *orchestrator.RevertOptions) {
			r.enter(orchestrator.Running)
			o.Force = true
			r.domain.edit(func(d *fakeDomain) { d.transient = true })
		}, orchestrator.ErrRefused},
		{"off with its memory saved", func(r *rig, _ *orchestrator.RevertOptions) {
			r.domain.edit(func(d *fakeDomain) { d.saved = true })
		}, orchestrator.ErrRefused},
		{"no such snapshot", func(_ *rig, o *orchestrator.RevertOptions) { o.Snapshot = "three" }, orchestrator.ErrNotFound},
		{"no such disk in it", func(_ *rig, o *orchestrator.RevertOptions) { o.Disks = []string{"vdz"} }, orchestrator.ErrNotFound},
		{"a disk is gone from the domain", func(r *rig, _ *orchestrator.RevertOptions) {
			r.domain.edit(func(d *fakeDomain) { d.disks = d.disks[:1] })
		}, orchestrator.ErrRefused},
		{"a disk has grown", func(r *rig, _ *orchestrator.RevertOptions) { r.write("a now", "b now and more") }, methods.ErrBlocked},
		{"a disk's snapshot is broken", func(r *rig, _ *orchestrator.RevertOptions) {
			r.store.Break(r.lineage().Snapshots[0].Disks[1].Name)
		}, methods.ErrBroken},
		{"the storage cannot say", func(r *rig, _ *orchestrator.RevertOptions) { r.store.Fail(memory.AtStat, "vdb", errPlanned) }, errPlanned},
		{"no room for the safety snapshot", func(r *rig, o *orchestrator.RevertOptions) {
			o.NoSafety = false
			r.store.Fail(memory.AtPlan, "vdb", errPlanned)
		}, orchestrator.ErrRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := twoSnapshots(t)
			opts := revertTo("one")
			c.set(r, &opts)
			before, vda := r.domain.metadata, string(r.store.Disk(memory.Prefix+"vda"))
			_, err := r.Revert(t.Context(), opts)
			wantError(t, err, c.want)
			if r.domain.metadata != before || string(r.store.Disk(memory.Prefix+"vda")) != vda {
				t.Error("something was changed")
			}
		})
	}
}

func TestRevertThatFailsBeforeThePointOfNoReturnTakesEverythingBack(t *testing.T) {
	for _, state := range []orchestrator.State{orchestrator.Running, orchestrator.Paused, orchestrator.Shutoff} {
		for _, p := range []memory.Point{memory.AtPlan, memory.AtPrepare, memory.AtTake, memory.AfterTake, memory.AtCheckRevert} {
			t.Run(string(state)+" "+string(p), func(t *testing.T) {
				r := twoSnapshots(t)
				r.enter(state)
				r.store.Fail(p, "vdb", errPlanned)
				opts := revertTo("one")
				opts.Force, opts.NoSafety = true, false
				_, err := r.Revert(t.Context(), opts)
				wantError(t, err, errPlanned)
				r.wantState(state)
				r.wantContent("a now", "b now")
				r.wantNames("one", "two")
			})
		}
	}
}

func TestRevertWhoseDomainCannotBePoweredOffSaysJustThat(t *testing.T) {
	r := twoSnapshots(t)
	r.enter(orchestrator.Running)
	r.domain.edit(func(d *fakeDomain) {
		d.offFails = errPlanned
		d.startFails = errStart
	})
	opts := revertTo("one")
	opts.Force = true
	_, err := r.Revert(t.Context(), opts)
	wantError(t, err, errPlanned)
	r.wantState(orchestrator.Running)
	if errors.Is(err, errStart) {
		t.Errorf("a domain that was never off was started: %v", err)
	}
}

func TestRevertThatIsCancelledGivesTheDomainBack(t *testing.T) {
	r := twoSnapshots(t)
	r.enter(orchestrator.Running)
	ctx, cancel := context.WithCancel(t.Context())
	r.store.On(memory.AtCheckRevert, "vdb", func(context.Context) error {
		cancel()
		return nil
	})
	opts := revertTo("one")
	opts.Force = true
	_, err := r.Revert(ctx, opts)
	wantError(t, err, context.Canceled)
	r.wantState(orchestrator.Running)
	r.wantContent("a now", "b now")
}

// revertFailures are the places behind the point of no return.
func revertFailures() map[string]func(*rig, error) {
	failures := map[string]func(*rig, error){
		"metadata": func(r *rig, err error) { r.domain.writeFails = behindTheFirst(err) },
	}
	for _, p := range []memory.Point{memory.AtRevert, memory.MidRevert, memory.AfterRevert} {
		for _, target := range []string{"vda", "vdb"} {
			failures[string(p)+" "+target] = func(r *rig, err error) { r.store.Fail(p, target, err) }
		}
	}
	return failures
}

func TestRevertThatFailsBehindThePointOfNoReturnIsFinishedByRecover(t *testing.T) {
	for name, fail := range revertFailures() {
		for _, method := range []string{"memory", "keeping"} {
			t.Run(name+" by "+method, func(t *testing.T) {
				r := newRig(t, keeping).off()
				r.write("a one", "b one")
				r.takeBy("one", method)
				r.write("a now", "b now")
				fail(r, errPlanned)
				_, err := r.Revert(t.Context(), orchestrator.RevertOptions{Domain: "web1", Snapshot: "one"})
				wantError(t, err, orchestrator.ErrUnfinished, errPlanned)
				_, err = r.Revert(t.Context(), revertTo("one"))
				wantError(t, err, orchestrator.ErrUnfinished)

				fail(r, nil)
				r.recover()
				r.wantContent("a one", "b one")
				r.wantSafetyHolds("a now", "b now")
			})
		}
	}
}

// wantSafetyHolds reads the youngest snapshot.
func (r *rig) wantSafetyHolds(vda, vdb string) {
	r.t.Helper()
	all := r.lineage().Snapshots
	last := all[len(all)-1]
	if !last.Safety {
		r.t.Fatalf("the youngest snapshot is %s", last.Name)
	}
	got := []string{string(r.store.Snapshot(last.Disks[0].Name)), string(r.store.Snapshot(last.Disks[1].Name))}
	if diff := cmp.Diff([]string{vda, vdb}, got); diff != "" {
		r.t.Errorf("the safety snapshot: %s", diff)
	}
}

func TestSafetySnapshotThatCannotBeTakenBackIsLeftToRecover(t *testing.T) {
	for _, p := range []memory.Point{memory.AfterPrepare, memory.AtTake, memory.AfterTake} {
		t.Run(string(p), func(t *testing.T) {
			r := twoSnapshots(t)
			r.store.Fail(p, "vdb", errPlanned)
			r.store.Fail(memory.AtDrop, "vdb", errPlanned)
			_, err := r.Revert(t.Context(), orchestrator.RevertOptions{Domain: "web1", Snapshot: "one"})
			wantError(t, err, orchestrator.ErrUnfinished)
			r.wantContent("a now", "b now")

			r.store.Fail(p, "vdb", nil)
			r.store.Fail(memory.AtDrop, "vdb", nil)
			r.recover()
			r.wantObjectsAsRecorded()
		})
	}
}

func TestRecoverOfARevertWaitsForTheDomainToBeOff(t *testing.T) {
	r := twoSnapshots(t)
	r.breakRevert(revertTo("one"))
	r.enter(orchestrator.Running)
	_, err := r.Recover(t.Context(), "web1")
	wantError(t, err, orchestrator.ErrUnfinished, orchestrator.ErrRefused)
	r.enter(orchestrator.Shutoff)
	r.recover()
	r.wantContent("a one", "b one")
}

func TestRecoverOfAPartialRevertLeavesTheOtherDisks(t *testing.T) {
	r := twoSnapshots(t)
	opts := revertTo("one")
	opts.Disks = []string{"vdb"}
	r.breakRevert(opts)
	r.recover()
	r.wantContent("a now", "b one")
	if l := r.lineage(); len(l.Strayed) != 1 || l.Current != l.Snapshots[1].ID {
		t.Errorf("the lineage is %+v", l)
	}
}

func TestPlanRevertIsWhatRevertDoes(t *testing.T) {
	r := twoSnapshots(t)
	r.enter(orchestrator.Running)
	opts := orchestrator.RevertOptions{Domain: "web1", Snapshot: "one", Force: true}
	steps, err := r.PlanRevert(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range steps {
		got = append(got, s.Step)
	}
	one := r.lineage().Snapshots[0].Disks
	want := []string{
		"power the domain off", "keep the present as a safety snapshot",
		"revert vda by memory to " + one[0].Name + " (native)", "revert vdb by memory to " + one[1].Name + " (native)",
		"write the lineage", "start the domain",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	r.wantState(orchestrator.Running)
	r.wantContent("a now", "b now")
}

func TestSnapshotOfSomeDisksLeavesTheOthersWhereTheyAre(t *testing.T) {
	r := newRig(t).off()
	one := r.take("one")
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{
		Domain: "web1", Name: "some", Descriptor: r.parse("<domainsnapshot><disks><disk name='vdb' snapshot='no'/></disks></domainsnapshot>"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []xmlspec.Position{{Target: "vdb", Snapshot: one.ID}}
	if diff := cmp.Diff(want, r.lineage().Strayed); diff != "" {
		t.Errorf("after the snapshot: %s", diff)
	}
	r.revert("one")
	if left := r.lineage().Strayed; len(left) > 0 {
		t.Errorf("after the revert of all disks: %+v", left)
	}
	r.revert("some")
	if diff := cmp.Diff(want, r.lineage().Strayed); diff != "" {
		t.Errorf("after the revert of some: %s", diff)
	}
}
