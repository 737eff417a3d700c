package orchestrator_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
)

func TestListIsOldestFirst(t *testing.T) {
	r := family(t)
	r.wantNames("root", "left", "right", "leaf")
	r.wantParents(map[string]string{"root": "", "left": "root", "right": "root", "leaf": "right"})
	list, err := r.List(t.Context(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"left", "right"}, list[0].Dependents); diff != "" {
		t.Error(diff)
	}
}

func TestListOfADomainWithoutSnapshotsIsEmpty(t *testing.T) {
	newRig(t).wantNames()
}

func TestSnapshotIsFoundByNameAndById(t *testing.T) {
	r := newRig(t)
	s := r.take("one")
	for _, name := range []string{"one", s.ID} {
		got, err := r.Info(t.Context(), "web1", name)
		if err != nil || got.ID != s.ID {
			t.Errorf("info of %q: %+v, %v", name, got, err)
		}
	}
	_, err := r.Info(t.Context(), "web1", "two")
	wantError(t, err, orchestrator.ErrNotFound)
}

func TestInfoAsksTheStorage(t *testing.T) {
	r := newRig(t)
	s := r.take("one")
	got, err := r.Info(t.Context(), "web1", "one")
	if err != nil || got.Disks[0].BytesUsed == nil || *got.Disks[0].BytesUsed != int64(len("vda zero")) {
		t.Errorf("info: %+v, %v", got, err)
	}
	r.store.Break(s.Disks[1].Ref)
	if got, err = r.Info(t.Context(), "web1", "one"); err != nil || got.State != "broken" || got.Reason == "" {
		t.Errorf("info of a broken one: %+v, %v", got, err)
	}
}

func TestParent(t *testing.T) {
	r := family(t)
	s, err := r.Parent(t.Context(), "web1", "leaf")
	if err != nil || s.Name != "right" {
		t.Errorf("the parent is %+v, %v", s, err)
	}
	_, err = r.Parent(t.Context(), "web1", "root")
	wantError(t, err, orchestrator.ErrNotFound)
}

func TestSources(t *testing.T) {
	r := newRig(t)
	s := r.take("one")
	all, err := r.Sources(t.Context(), "web1", "one", "")
	if err != nil || len(all) != 2 {
		t.Fatalf("all sources: %+v, %v", all, err)
	}
	one, err := r.Sources(t.Context(), "web1", "one", "vdb")
	if err != nil || len(one) != 1 {
		t.Fatalf("one source: %+v, %v", one, err)
	}
	want := methods.BackupSource{
		XML: "<source file='/memory/snapshots/" + s.Disks[1].Ref + "'/>", URI: "/memory/snapshots/" + s.Disks[1].Ref, Format: "raw",
	}
	if diff := cmp.Diff(want, one[0].BackupSource); diff != "" {
		t.Error(diff)
	}
	_, err = r.Sources(t.Context(), "web1", "one", "vdz")
	wantError(t, err, orchestrator.ErrNotFound)
}

func TestDumpXMLIsADescriptorOfTheSameSnapshot(t *testing.T) {
	r := newRig(t, group, moving)
	descriptor := useMethod("group", "vda")
	descriptor.Disks = append(descriptor.Disks, useMethod("moving", "vdb").Disks...)
	descriptor.Description = "before the <upgrade>"
	before, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "one", Descriptor: descriptor})
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.DumpXML(t.Context(), "web1", "one")
	if err != nil {
		t.Fatal(err)
	}
	after, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "two", Descriptor: r.parse(text)})
	if err != nil {
		t.Fatal(err)
	}
	if after.Description != before.Description {
		t.Errorf("the description is %q", after.Description)
	}
	if diff := cmp.Diff(methodsOf(before), methodsOf(after)); diff != "" {
		t.Error(diff)
	}
}

func methodsOf(s *orchestrator.Snapshot) map[string]string {
	by := map[string]string{}
	for _, d := range s.Disks {
		by[d.Target] = d.Method
	}
	return by
}

func TestVerbsThatLookNeedADomain(t *testing.T) {
	r := newRig(t)
	for name, look := range map[string]func() error{
		"list":    func() error { _, err := r.List(t.Context(), "web2"); return err },
		"info":    func() error { _, err := r.Info(t.Context(), "web2", "one"); return err },
		"current": func() error { _, err := r.Current(t.Context(), "web2"); return err },
		"disks":   func() error { _, err := r.Disks(t.Context(), "web2"); return err },
		"plan": func() error {
			_, err := r.PlanRevert(t.Context(), orchestrator.RevertOptions{Domain: "web2"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, look(), orchestrator.ErrNotFound) })
	}
}

func TestLineageThatCannotBeReadIsAnError(t *testing.T) {
	r := newRig(t)
	r.domain.metadata = "<lineage xmlns='urn:domsnap:lineage:1'><s id='s1' layout='7'/></lineage>"
	if _, err := r.List(t.Context(), "web1"); err == nil {
		t.Error("it was read")
	}
	r.domain.metadata = ""
}
