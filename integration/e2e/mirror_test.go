//go:build lab

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestMirror: virsh shows the snapshots, and what it does to them is found out and does no more harm than it says.
func TestMirror(t *testing.T) {
	x := newTorturer(t, blank(lab.QcowFile, lab.ThinLV))
	x.begin()
	x.p.must(new(any), "snapshot-mirror", x.Name())
	x.create("second")
	x.wantShown("base", "second")
	x.wantFindings()
	tool(t, "virsh", "snapshot-delete", x.Name(), "base")
	x.wantFindings("mirror ")
	x.checkSnapshot("base", x.base)
	x.p.must(new(any), "snapshot-mirror", x.Name())
	x.wantShown("base", "second")

	// virsh says that it has reverted; it has put a definition of before there, and that is all.
	t.Log(tool(t, "virsh", "snapshot-revert", x.Name(), "base"))
	found := x.findings()
	if !slices.Contains(found, "lineage ") {
		t.Errorf("check found %q", found)
	}
	x.findings("--repair")
	x.wantFindings()
	x.checkPresent(x.present)
	x.checkSnapshot("base", x.base)
	x.p.must(new(any), "snapshot-mirror", x.Name(), "--off")
	x.wantShown()
	x.deleteEverything()
}

func (x *torturer) wantShown(want ...string) {
	x.t.Helper()
	if got := strings.Fields(tool(x.t, "virsh", "snapshot-list", x.Name(), "--name")); !slices.Equal(got, want) {
		x.t.Errorf("virsh shows %q, want %q", got, want)
	}
}
