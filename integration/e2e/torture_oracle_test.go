//go:build lab

package e2e

import (
	"os"
	"regexp"
	"strings"

	"github.com/domsnap/domsnap/orchestrator"
)

// objectName is the name of what a storage has of one disk of a snapshot.
var objectName = regexp.MustCompile(`ds-(s[a-z2-7]{9})-([a-z]+)`)

// checkObjects: every record is whole, and the storages have nothing but what the records name and the disks are on.
func (x *torturer) checkObjects() {
	x.t.Helper()
	known := x.blocks()
	for _, s := range x.p.list(x.Name()) {
		x.checkWhole(s.Name)
		for _, d := range s.Disks {
			known += " " + d.Ref + " ds-" + s.ID + "-" + d.Target
		}
	}
	for _, name := range objectName.FindAllString(objects(x.t)+x.inFiles(), -1) {
		if !strings.Contains(known, name) {
			x.t.Errorf("%s is left in a storage; known are %s", name, known)
		}
	}
	if left := x.p.unfinished(); len(left) > 0 {
		x.t.Errorf("the journal has %v", left)
	}
}

// checkWhole asks the storages of a domain that runs. Where it is off the content of every snapshot is read anyway.
func (x *torturer) checkWhole(name string) {
	x.t.Helper()
	if x.chain == nil {
		return
	}
	var s orchestrator.Snapshot
	x.p.must(&s, "snapshot-info", x.Name(), name)
	if s.State != orchestrator.StateAvailable {
		x.t.Errorf("snapshot %s is %s: %s", name, s.State, s.Reason)
	}
}

// inFiles is what the state directory and the images have inside them.
func (x *torturer) inFiles() string {
	x.t.Helper()
	all := tool(x.t, "find", x.p.StateDir)
	for _, target := range x.targets {
		if file := x.Source(target); strings.HasSuffix(file, ".qcow2") {
			if _, err := os.Stat(file); err == nil {
				all += tool(x.t, "qemu-img", "snapshot", "-U", "-l", file)
			}
		}
	}
	return all
}
