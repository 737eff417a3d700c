package orchestrator_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/shelf"
	"github.com/domsnap/domsnap/xmlspec"
)

// define replaces the domain's definition, as virsh define does: what the new one does not have is gone.
func (r *rig) define(change func(*fakeDomain)) { r.domain.edit(change) }

func (r *rig) repair(want ...string) {
	r.t.Helper()
	result, err := r.Repair(r.t.Context(), "web1", "")
	if err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(want, result.Repaired); diff != "" {
		r.t.Errorf("repaired: %s", diff)
	}
	if !result.OK {
		r.t.Errorf("afterwards: %+v", result.Findings)
	}
	again, err := r.Repair(r.t.Context(), "", "")
	if err != nil || len(again.Repaired) > 0 {
		r.t.Errorf("the second repair did %q, %v", again.Repaired, err)
	}
}

func TestRepairOfADomainThatWasDefinedWithoutItsMetadata(t *testing.T) {
	r := twoSnapshots(t)
	before := r.lineage()
	r.define(func(d *fakeDomain) { d.metadata = "" })
	r.wantFound("lineage |  | the domain's metadata is older than the copy of it on this host")
	for name, change := range map[string]func() error{
		"create": func() error {
			_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
			return err
		},
		"prune": func() error { _, err := r.Prune(t.Context(), lastTwo()); return err },
	} {
		if err := change(); err == nil {
			t.Errorf("%s goes on without the lineage", name)
		} else {
			wantError(t, err, orchestrator.ErrRefused)
		}
	}
	r.repair("web1: the metadata names 2 snapshots again")
	after := r.lineage()
	after.Rev = before.Rev
	if diff := cmp.Diff(before, after, cmp.AllowUnexported(xmlspec.Lineage{})); diff != "" {
		t.Errorf("before (-), after (+): %s", diff)
	}
	r.revert("one")
}

// inImages moves the disk on, and what it was on is the snapshot, by the same name.
type inImages struct{ methods.Method }

func (m inImages) Plan(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	ref, err := m.Method.Plan(ctx, req)
	ref.Name = ref.Origin
	return ref, err
}

func TestRepairOfADomainThatCameFromABackupOfItsXML(t *testing.T) {
	r := newRig(t, func(r *rig) methods.Method { return inImages{moving(r)} }).off()
	r.takeBy("one", "moving")
	backup, disks := r.domain.metadata, slices.Clone(r.domain.disks)
	r.takeBy("two", "moving")
	moved := slices.Clone(r.domain.disks)
	r.define(func(d *fakeDomain) { d.metadata, d.disks = backup, slices.Clone(disks) })
	want := []string{"lineage |  | the domain's metadata is older than the copy of it on this host"}
	for i, d := range disks {
		want = append(want, "misplaced | two | "+d.target+" is on "+d.file+
			", the image of snapshot two, which would not survive a start; it was on "+moved[i].file)
	}
	r.wantFound(want...)
	r.enter(orchestrator.Running)
	_, err := r.Repair(t.Context(), "web1", "")
	wantError(t, err, orchestrator.ErrRefused)
	r.enter(orchestrator.Shutoff)
	r.repair("web1: disk vda is on "+moved[0].file+" again", "web1: disk vdb is on "+moved[1].file+" again",
		"web1: the metadata names 2 snapshots again")
	if !slices.Equal(r.domain.disks, moved) {
		t.Errorf("the disks are %+v", r.domain.disks)
	}
}

func TestNothingIsBuiltOnAMisplacedDisk(t *testing.T) {
	r := newRig(t, func(r *rig) methods.Method { return inImages{moving(r)} }).off()
	disks := slices.Clone(r.domain.disks)
	r.takeBy("one", "moving")
	moved := r.domain.disks[0].file
	r.define(func(d *fakeDomain) { d.disks[0] = disks[0] })
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
	wantError(t, err, orchestrator.ErrRefused)
	_, err = r.Revert(t.Context(), revertTo("one"))
	wantError(t, err, orchestrator.ErrRefused)
	_, err = r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"})
	wantError(t, err, orchestrator.ErrRefused)
	r.repair("web1: disk vda is on " + moved + " again")
	r.takeBy("two", "moving")
}

// TestRepairBeforeTheNextStart: the guest runs on its own images, and is defined with those of yesterday.
func TestRepairBeforeTheNextStart(t *testing.T) {
	r := newRig(t, func(r *rig) methods.Method { return inImages{moving(r)} })
	yesterday := slices.Clone(r.domain.disks)
	r.takeBy("one", "moving")
	r.define(func(d *fakeDomain) { d.defined = yesterday })
	moved := r.domain.disks
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
	wantError(t, err, orchestrator.ErrRefused)
	r.repair("web1: disk vda is on "+moved[0].file+" again", "web1: disk vdb is on "+moved[1].file+" again")
	if !slices.Equal(r.domain.defined, moved) {
		t.Errorf("it is defined with %+v", r.domain.defined)
	}
}

func (r *rig) shelf() shelf.Shelf { return shelf.Shelf{Dir: filepath.Join(r.dir, "domains")} }

func (r *rig) copy() *shelf.Copy {
	r.t.Helper()
	c, err := r.shelf().Get(r.domain.uuid)
	if err != nil || c == nil {
		r.t.Fatalf("the copy is %v, %v", c, err)
	}
	return c
}

func TestRepairOfTheCopy(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*rig) error
		want  string
	}{
		"behind": {func(r *rig) error {
			copied := r.copy()
			r.take("three")
			return r.shelf().Put(r.domain.uuid, *copied)
		}, "copy |  | the copy of the domain's metadata on this host is older than that"},
		"damaged": {func(r *rig) error {
			return os.WriteFile(filepath.Join(r.dir, "domains", r.domain.uuid+".json"), []byte("{"), 0o600)
		}, "copy |  | the copy of the lineage is damaged"},
		"of something else": {func(r *rig) error {
			return r.shelf().Put(r.domain.uuid, shelf.Copy{Lineage: "<other/>"})
		}, "copy |  | the copy of the lineage is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			r := twoSnapshots(t)
			if err := c.spoil(r); err != nil {
				t.Fatal(err)
			}
			found := r.found()
			if diff := cmp.Diff([]string{c.want}, found); diff != "" {
				t.Errorf("check: %s", diff)
			}
			r.repair("web1: the copy of the metadata is written again")
		})
	}
}

func TestRecoverGoesOnFromTheLatestLineage(t *testing.T) {
	r := twoSnapshots(t)
	r.breakRevert(revertTo("one"))
	r.define(func(d *fakeDomain) { d.metadata = "" })
	r.recover()
	r.wantFound()
	if s, err := r.Current(t.Context(), "web1"); err != nil || s.Name != "one" {
		t.Errorf("current is %+v, %v", s, err)
	}
}

func TestRepairLeavesUnfinishedWorkToRecover(t *testing.T) {
	r := newRig(t)
	r.beginJournal("create", "none")
	_, err := r.Repair(t.Context(), "web1", "")
	wantError(t, err, orchestrator.ErrUnfinished)
	r.recover()
}

func TestCopyThatCannotBeWrittenStopsNothing(t *testing.T) {
	r := newRig(t)
	if err := os.MkdirAll(filepath.Join(r.dir, "domains", "."+r.domain.uuid+".json"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.take("one")
	r.wantNames("one")
}

func TestNothingGoesOnFromALineageThatMayBeOld(t *testing.T) {
	r := newRig(t)
	if err := os.MkdirAll(filepath.Join(r.dir, "domains", r.domain.uuid+".json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"}); err == nil {
		t.Error("the copy cannot be read, and it went on")
	}
	r.wantNames()
}
