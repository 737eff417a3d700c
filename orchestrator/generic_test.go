package orchestrator_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
)

// without is a method named plain that lacks some verbs.
func without(v methods.Verbs) func(*rig) methods.Method {
	return func(r *rig) methods.Method { return memory.New(r.store, memory.Options{Name: "plain", Without: v}) }
}

var (
	noRevert  = methods.Verbs{Revert: true}
	noChanges = methods.Verbs{Revert: true, Changes: true}
)

// oneByPlain is a domain that is off, with the snapshot one by such a method, and a present that differs.
func oneByPlain(t *testing.T, v methods.Verbs) *rig {
	t.Helper()
	r := newRig(t, without(v)).off()
	r.write("a one", "b one")
	r.takeBy("one", "plain")
	r.write("a two", "b 1ne")
	return r
}

func TestMethodWithoutARevertIsRevertedGenerically(t *testing.T) {
	for name, c := range map[string]struct {
		lacks methods.Verbs
		how   methods.How
	}{
		"by changed extents": {noRevert, methods.HowChangedExtents},
		"by comparing":       {noChanges, methods.HowCompare},
	} {
		t.Run(name, func(t *testing.T) {
			r := oneByPlain(t, c.lacks)
			got, err := r.Revert(t.Context(), orchestrator.RevertOptions{Domain: "web1", Snapshot: "one"})
			if err != nil {
				t.Fatal(err)
			}
			r.wantContent("a one", "b one")
			r.wantSafetyHolds("a two", "b 1ne")
			for _, d := range got.Disks {
				if d.How != c.how || !d.InPlace || d.BytesWritten == 0 {
					t.Errorf("disk %s went back by %s, in place: %v, %d bytes", d.Target, d.How, d.InPlace, d.BytesWritten)
				}
			}
		})
	}
}

func TestGenericRevertThatStopsIsFinishedByRecover(t *testing.T) {
	for _, p := range []memory.Point{memory.AtWrite, memory.AtSync} {
		t.Run(string(p), func(t *testing.T) {
			r := oneByPlain(t, noRevert)
			r.store.Fail(p, "vdb", errPlanned)
			_, err := r.Revert(t.Context(), orchestrator.RevertOptions{Domain: "web1", Snapshot: "one"})
			wantError(t, err, orchestrator.ErrUnfinished, errPlanned)
			r.store.Fail(p, "vdb", nil)
			told := r.listenToProgress()
			r.recover()
			if p == memory.AtWrite && told["revert vdb"] == 0 {
				t.Errorf("recover told of %v", told)
			}
			r.wantContent("a one", "b one")
			r.wantSafetyHolds("a two", "b 1ne")
		})
	}
}

func TestNativeRevertThatStoppedIsNeverFollowedByAnotherWay(t *testing.T) {
	r := twoSnapshots(t)
	r.store.Fail(memory.MidRevert, "vdb", errPlanned)
	_, err := r.Revert(t.Context(), revertTo("one"))
	wantError(t, err, orchestrator.ErrUnfinished)
	r.store.Fail(memory.MidRevert, "vdb", methods.ErrUnsupported)
	_, err = r.Recover(t.Context(), "web1")
	wantError(t, err, orchestrator.ErrUnfinished, methods.ErrUnsupported)
	r.store.Fail(memory.MidRevert, "vdb", nil)
	r.recover()
	r.wantContent("a one", "b one")
}

func TestPlanSaysWhichWayBackThereIs(t *testing.T) {
	r := oneByPlain(t, noChanges)
	steps, err := r.PlanRevert(t.Context(), revertTo("one"))
	if err != nil {
		t.Fatal(err)
	}
	one := r.lineage().Snapshots[0].Disks
	want := "revert vda by plain to " + one[0].Name + " (compare)"
	if steps[0].Step != want {
		t.Errorf("the plan begins with %q, want %q", steps[0].Step, want)
	}
}

func TestVerifyReadsWhatHadChanged(t *testing.T) {
	for name, c := range map[string]struct {
		lacks methods.Verbs
		want  []int64
	}{
		"the storage knows":       {methods.Verbs{}, []int64{3, 1}},
		"the storage cannot tell": {methods.Verbs{Changes: true}, []int64{5, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			r := oneByPlain(t, c.lacks)
			opts := revertTo("one")
			opts.Verify = true
			told := r.listenToProgress()
			done, err := r.Revert(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			if told["verify disk vda"] != c.want[0] || told["verify disk vdb"] != c.want[1] {
				t.Errorf("told of %v", told)
			}
			var got []int64
			for _, d := range done.Disks {
				got = append(got, *d.Verified)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVerifyFindsADiskThatIsNotTheSnapshot(t *testing.T) {
	r := oneByPlain(t, methods.Verbs{})
	r.store.On(memory.AfterRevert, "vda", func(context.Context) error {
		r.store.SetDisk(memory.Prefix+"vda", []byte("a xxx"))
		return nil
	})
	opts := revertTo("one")
	opts.Verify = true
	_, err := r.Revert(t.Context(), opts)
	wantError(t, err, orchestrator.ErrUnfinished, methods.ErrDiffers)
	r.store.On(memory.AfterRevert, "vda", nil)
	r.recover()
	r.wantContent("a one", "b one")
}

func TestDiskThatItsSafetySnapshotMovedIsFollowed(t *testing.T) {
	for name, stop := range map[string]bool{"at once": false, "by recover": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(r *rig) methods.Method { return movingWithout(r, noRevert) }).off()
			r.write("a one", "b one")
			r.takeBy("one", "moving")
			r.fill("a two", "b two")
			if stop {
				r.store.Fail(memory.AtWrite, "vdb", errPlanned)
				_, err := r.Revert(t.Context(), orchestrator.RevertOptions{Domain: "web1", Snapshot: "one"})
				wantError(t, err, orchestrator.ErrUnfinished, errPlanned)
				r.store.Fail(memory.AtWrite, "vdb", nil)
				r.recover()
			} else {
				r.revert("one")
			}
			r.wantFilled("a one", "b one")
			r.wantSafetyHolds("a two", "b two")
		})
	}
}

// fill gives the disks a content, wherever they are now.
func (r *rig) fill(contents ...string) {
	r.domain.edit(func(d *fakeDomain) {
		for i, disk := range d.disks {
			r.store.SetDisk(disk.file, []byte(contents[i]))
		}
	})
}

func (r *rig) wantFilled(want ...string) {
	r.t.Helper()
	var got []string
	r.domain.edit(func(d *fakeDomain) {
		for _, disk := range d.disks {
			got = append(got, string(r.store.Disk(disk.file)))
		}
	})
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("the disks: %s", diff)
	}
}
