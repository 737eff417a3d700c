package orchestrator_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/journal"
)

// family is a domain with a tree of snapshots: root, below it left and right, below right leaf, which is current.
func family(t *testing.T) *rig {
	t.Helper()
	r := newRig(t).off()
	r.take("root")
	r.take("left")
	if _, err := r.Revert(t.Context(), revertTo("root")); err != nil {
		t.Fatal(err)
	}
	r.take("right")
	r.take("leaf")
	return r
}

func (r *rig) wantParents(want map[string]string) {
	r.t.Helper()
	list, err := r.List(r.t.Context(), "web1")
	if err != nil {
		r.t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range list {
		got[s.Name] = ""
		if s.Parent != nil {
			got[s.Name] = *s.Parent
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("the parents: %s", diff)
	}
}

func TestDelete(t *testing.T) {
	for _, c := range []struct {
		name    string
		opts    orchestrator.DeleteOptions
		deleted []string
		// left are the snapshots afterwards, each with its parent.
		left    map[string]string
		current string
	}{
		{"a leaf, which is current", orchestrator.DeleteOptions{Snapshot: "leaf"}, []string{"leaf"},
			map[string]string{"root": "", "left": "root", "right": "root"}, "right"},
		{"one in the middle", orchestrator.DeleteOptions{Snapshot: "right"}, []string{"right"},
			map[string]string{"root": "", "left": "root", "leaf": "root"}, "leaf"},
		{"the root", orchestrator.DeleteOptions{Snapshot: "root"}, []string{"root"},
			map[string]string{"left": "", "right": "", "leaf": "right"}, "leaf"},
		{"with children", orchestrator.DeleteOptions{Snapshot: "right", Children: true}, []string{"leaf", "right"},
			map[string]string{"root": "", "left": "root"}, "root"},
		{"children only", orchestrator.DeleteOptions{Snapshot: "root", ChildrenOnly: true}, []string{"left", "leaf", "right"},
			map[string]string{"root": ""}, "root"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := family(t)
			c.opts.Domain = "web1"
			result, err := r.Delete(t.Context(), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			want := &orchestrator.DeleteResult{Deleted: c.deleted, PendingDelete: []orchestrator.PendingDelete{}}
			if diff := cmp.Diff(want, result); diff != "" {
				t.Error(diff)
			}
			r.wantParents(c.left)
			if s, err := r.Current(t.Context(), "web1"); err != nil || s.Name != c.current {
				t.Errorf("current is %+v, %v", s, err)
			}
		})
	}
}

func TestDeleteOfTheLastSnapshotLeavesNoPosition(t *testing.T) {
	r := newRig(t)
	r.take("one")
	if _, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"}); err != nil {
		t.Fatal(err)
	}
	_, err := r.Current(t.Context(), "web1")
	wantError(t, err, orchestrator.ErrNotFound)
}

func TestDeleteLeavesThePresentAndTheOthers(t *testing.T) {
	r := twoSnapshots(t)
	if _, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"}); err != nil {
		t.Fatal(err)
	}
	r.wantContent("a now", "b now")
	if _, err := r.Revert(t.Context(), revertTo("two")); err != nil {
		t.Fatal(err)
	}
	r.wantContent("a two", "b two")
}

func TestDeleteOfTheMetadataTouchesNoStorage(t *testing.T) {
	r := newRig(t)
	s := r.take("one")
	_, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one", Metadata: true})
	if err != nil {
		t.Fatal(err)
	}
	r.wantNames()
	for _, d := range s.Disks {
		if r.store.Snapshot(d.Ref) == nil {
			t.Errorf("snapshot %s is gone from the storage", d.Ref)
		}
		r.orphans = append(r.orphans, d.Ref)
	}
}

func TestDeleteWaitsForTheOneThatNeedsIt(t *testing.T) {
	var method *layered
	r := newRig(t, layeredAs(&method)).off()
	one, two, three := r.takeBy("one", "layered"), r.takeBy("two", "layered"), r.takeBy("three", "layered")
	method.needs[one.ID], method.needs[two.ID] = two.ID, three.ID

	for _, name := range []string{"one", "two"} {
		result, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: name})
		if err != nil || len(result.Deleted) > 0 || len(result.PendingDelete) != 1 {
			t.Fatalf("delete of %s: %+v, %v", name, result, err)
		}
		s, err := r.Info(t.Context(), "web1", name)
		if err != nil || s.State != orchestrator.StatePendingDelete || s.Reason == "" {
			t.Errorf("afterwards: %+v, %v", s, err)
		}
	}
	_, err := r.Revert(t.Context(), revertTo("one"))
	wantError(t, err, orchestrator.ErrRefused)

	result, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "three"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"three", "two", "one"}, result.Deleted); diff != "" {
		t.Error(diff)
	}
	r.wantNames()
}

func TestDeleteRecordsTheNewNamesOfTheOthers(t *testing.T) {
	var method *layered
	r := newRig(t, layeredAs(&method)).off()
	one, two := r.takeBy("one", "layered"), r.takeBy("two", "layered")
	method.renames[one.ID] = two.ID
	if _, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"}); err != nil {
		t.Fatal(err)
	}
	s, err := r.Info(t.Context(), "web1", "two")
	if err != nil || s.Disks[0].Ref != one.Disks[0].Ref || s.State != orchestrator.StateAvailable {
		t.Errorf("two is %+v, %v", s, err)
	}
}

func TestDeleteThatStopsIsFinishedByRecover(t *testing.T) {
	for name, fail := range map[string]func(*rig, error){
		"at the first disk":  func(r *rig, err error) { r.store.Fail(memory.AtDrop, "vda", err) },
		"behind it":          func(r *rig, err error) { r.store.Fail(memory.AfterDrop, "vda", err) },
		"at the second disk": func(r *rig, err error) { r.store.Fail(memory.AtDrop, "vdb", err) },
		"behind it too":      func(r *rig, err error) { r.store.Fail(memory.AfterDrop, "vdb", err) },
		"at the metadata":    func(r *rig, err error) { r.domain.writeFails = behindTheFirst(err) },
	} {
		t.Run(name, func(t *testing.T) {
			r := twoSnapshots(t)
			fail(r, errPlanned)
			_, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"})
			wantError(t, err, orchestrator.ErrUnfinished, errPlanned)
			fail(r, nil)
			r.recover()
			r.wantNames("two")
		})
	}
}

func TestDeleteWithNewNamesThatStopsIsFinishedByRecover(t *testing.T) {
	var method *layered
	r := newRig(t, layeredAs(&method)).off()
	one, two := r.takeBy("one", "layered"), r.takeBy("two", "layered")
	method.renames[one.ID] = two.ID
	r.domain.writeFails = behindTheFirst(errPlanned)
	_, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"})
	wantError(t, err, orchestrator.ErrUnfinished)
	r.domain.writeFails = nil
	r.recover()
	s, err := r.Info(t.Context(), "web1", "two")
	if err != nil || s.Disks[0].Ref != one.Disks[0].Ref || s.State != orchestrator.StateAvailable {
		t.Errorf("two is %+v, %v", s, err)
	}
	r.wantNames("two")
}

func TestRecoverKeepsADeleteThatWasComplete(t *testing.T) {
	r := newRig(t)
	r.take("one")
	r.beginJournal(journal.Delete, "none")
	r.wantPlan("web1", "web1: write the lineage", "web1: end the journal")
	r.recover()
	r.wantNames("one")
}

func TestPlanDeleteIsWhatDeleteDoes(t *testing.T) {
	r := twoSnapshots(t)
	steps, err := r.PlanDelete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one", Children: true})
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, s := range steps {
		got = append(got, s.Step)
	}
	all := r.lineage().Snapshots
	for _, i := range []int{1, 0} {
		for _, d := range all[i].Disks {
			want = append(want, "drop "+d.Name+" by memory of snapshot "+all[i].Name)
		}
		want = append(want, "forget snapshot "+all[i].Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	r.wantNames("one", "two")
}

func TestDropThatIsNotedAsDoneIsNotDoneAgain(t *testing.T) {
	r := twoSnapshots(t)
	r.store.Fail(memory.AtDrop, "vdb", errPlanned)
	_, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"})
	wantError(t, err, orchestrator.ErrUnfinished)
	i, err := r.journal().Pending(r.domain.uuid)
	want := []journal.Note{{Act: "drop vda"}, {Act: "drop vda", Done: true}, {Act: "drop vdb"}}
	if err != nil || !slices.Equal(i.Notes, want) {
		t.Errorf("the journal notes %+v, %v", i, err)
	}
	r.store.Fail(memory.AtDrop, "vdb", nil)
	r.store.Fail(memory.AtDrop, "vda", errPlanned)
	r.recover()
	r.store.Fail(memory.AtDrop, "vda", nil)
	r.wantNames("two")
}
