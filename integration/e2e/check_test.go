//go:build lab

package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// findings are what check says, each as its kind and the disk that it begins with.
func (x *torturer) findings(options ...string) []string {
	x.t.Helper()
	var result orchestrator.CheckResult
	x.p.must(&result, slices.Concat([]string{"check", x.Name()}, options)...)
	var kinds []string
	for _, f := range result.Findings {
		x.t.Logf("%s: %s (%s)", f.Kind, f.What, f.Fix)
		kinds = append(kinds, string(f.Kind)+" "+regexp.MustCompile(`^vd[a-z]|^`).FindString(f.What))
	}
	for _, did := range result.Repaired {
		x.t.Logf("repaired: %s", did)
	}
	slices.Sort(kinds)
	return kinds
}

func (x *torturer) wantFindings(want ...string) {
	x.t.Helper()
	if got := x.findings(); !slices.Equal(got, want) {
		x.t.Errorf("check found %q, want %q", got, want)
	}
}

// TestCheckFindsWhatWentBehindOurBack: what others take out of the storages is named, and the rest is as good as before.
func TestCheckFindsWhatWentBehindOurBack(t *testing.T) {
	x := newTorturer(t, blank(lab.QcowFile, lab.ThickLV, lab.ThinLV, lab.BtrfsSubvol, lab.RBD))
	x.begin()
	x.wantFindings()
	var s orchestrator.Snapshot
	x.p.must(&s, "snapshot-create-as", x.Name(), "lost")
	for _, d := range s.Disks {
		switch d.Method {
		case "lvm":
			tool(t, "lvremove", "-f", d.Ref)
		case "rbd":
			tool(t, "rbd", "snap", "rm", d.Ref)
		case "btrfs":
			tool(t, "btrfs", "subvolume", "delete", d.Ref)
		case "qemu":
			check(t, os.Rename(d.Source, d.Source+".away"))
			defer func() { x.bringBack(d.Source) }()
		}
	}
	x.wantFindings("missing vdb", "missing vdc", "missing vdd", "missing vde", "unreadable vda")
	x.checkSnapshot("base", x.base)
	for _, target := range x.targets[1:] {
		var r orchestrator.RevertResult
		x.p.must(&r, "disk-revert", x.Name(), target, "base", "--no-safety")
	}
}

// bringBack ends the test: with the disk's image there again, everything can be deleted.
func (x *torturer) bringBack(image string) {
	x.t.Helper()
	check(x.t, os.Rename(image+".away", image))
	x.deleteEverything()
	x.wantFindings()
}

// TestRepairAfterVirshDefine: a definition without our metadata, and one of yesterday.
func TestRepairAfterVirshDefine(t *testing.T) {
	x := newTorturer(t, blank(lab.QcowFile, lab.ThinLV, lab.RBD))
	x.begin()
	yesterday := tool(t, "virsh", "dumpxml", "--inactive", x.Name())
	x.create("today")
	today := maps.Clone(x.present)
	x.scribble(3)
	x.present = x.diskSums()
	for _, document := range []string{withoutMetadata(tool(t, "virsh", "dumpxml", "--inactive", x.Name())), yesterday} {
		file := filepath.Join(t.TempDir(), "domain.xml")
		check(t, os.WriteFile(file, []byte(document), 0o600))
		tool(t, "virsh", "define", file)
		if x.findings()[0] != "lineage " {
			t.Error("check does not see that the lineage is old")
		}
		x.p.fails(6, "snapshot-create-as", x.Name(), "no")
		if left := x.findings("--repair"); len(left) > 0 {
			t.Errorf("after the repair: %q", left)
		}
		x.checkPresent(x.present)
		x.checkSnapshot("base", x.base)
		x.checkSnapshot("today", today)
	}
	x.p.revert(x.Name(), "base")
	x.checkPresent(x.base)
	x.p.revert(x.Name(), "today", "--no-safety")
	x.checkPresent(today)
	x.deleteEverything()
}

// TestRepairLeavesAnImageAloneThatWasWrittenTo: what was built on it is no disk any more, and it is not for us to choose.
func TestRepairLeavesAnImageAloneThatWasWrittenTo(t *testing.T) {
	x := newTorturer(t, blank(lab.QcowFile))
	x.begin()
	yesterday := filepath.Join(t.TempDir(), "domain.xml")
	check(t, os.WriteFile(yesterday, []byte(tool(t, "virsh", "dumpxml", "--inactive", x.Name())), 0o600))
	x.create("today")
	tool(t, "virsh", "define", yesterday)
	x.scribble(3)
	blocks := x.blocks()
	for _, options := range [][]string{{"--repair"}, nil} {
		if got := x.findings(options...); !slices.Equal(got, []string{"misplaced vda"}) {
			t.Errorf("check %q found %q", options, got)
		}
	}
	x.p.fails(6, "snapshot-delete", x.Name(), "today")
	if now := x.blocks(); now != blocks {
		t.Errorf("the disks are at\n%s\nwant\n%s", now, blocks)
	}
}

// withoutMetadata is a definition as another tool would write it.
func withoutMetadata(document string) string {
	return regexp.MustCompile(`(?s)<metadata>.*</metadata>`).ReplaceAllString(document, "")
}

// TestAdopt: what was forgotten by mistake, and what nobody has recorded, is a snapshot again.
func TestAdopt(t *testing.T) {
	x := newTorturer(t, blank(lab.ThickLV, lab.ThinLV, lab.BtrfsSubvol, lab.XFSFile, lab.RBD))
	x.begin()
	id := x.named("base").ID
	x.p.delete(x.Name(), "base", "--metadata")
	x.wantFindings("orphan vda", "orphan vdb", "orphan vdc", "orphan vdd", "orphan vde")
	if left := x.findings("--repair", "--adopt", id); len(left) > 0 {
		t.Errorf("after the repair: %q", left)
	}
	x.checkSnapshot("adopted-"+id, x.base)
	x.p.revert(x.Name(), "adopted-"+id)
	x.checkPresent(x.base)
	x.deleteEverything()
	x.wantFindings()
}

// TestCheckFindsSnapshotsOfLibvirt: virsh has one of its own.
func TestCheckFindsSnapshotsOfLibvirt(t *testing.T) {
	x := newTorturer(t, blank(lab.QcowFile))
	tool(t, "virsh", "snapshot-create-as", x.Name(), "by-hand")
	x.wantFindings("foreign ")
	tool(t, "virsh", "snapshot-delete", x.Name(), "by-hand")
	x.wantFindings()
}
