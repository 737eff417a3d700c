//go:build lab && torture

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

// What the power takes with it: what was written and not yet flushed, in every storage of this host, in domsnap's records
// and in libvirt's.

// TestTorturePowerLossOff: the power is lost at acts of the verbs on a domain that is off, and at their end.
func TestTorturePowerLossOff(t *testing.T) {
	before := objects(t)
	x := newTorturer(t, blank(lab.QcowFile, lab.RawFile, lab.ThickLV, lab.ThinLV, lab.BtrfsSubvol, lab.XFSFile))
	x.keepAllOnDisk()
	x.begin()
	for _, v := range []victim{x.creates(), x.reverts(), x.deletes()} {
		x.powerless(v, func(all []string) []string { return append(x.chosen(all), atItsEnd) })
	}
	x.powerless(x.revertsPaused(), x.whereItIsPowered)
	x.end(before)
}

// powerless has the power lost at points of the verb, and at its end: that it has said to be done is durable.
func (x *torturer) powerless(v victim, pick func(all []string) []string) {
	x.t.Helper()
	all := x.points(v)
	x.each(way{v.name, "power lost", len(all)}, pick(all), func(point string) {
		v.ready()
		if point == atItsEnd {
			x.powerlessAfter(v)
		} else {
			x.runAt(point, v.args, x.losePower)
		}
		x.recover(v)
	})
}

const atItsEnd = "at its end"

func (x *torturer) powerlessAfter(v victim) {
	x.t.Helper()
	ended := x.p.Command(x.t.Context(), v.args...)
	check(x.t, ended.Run())
	x.losePower(ended.Process)
	if !v.done() {
		x.t.Errorf("%s has said that it is done, and is not", v.name)
	}
}

// keepAllOnDisk has domsnap's state and libvirt's definitions on a file system that can lose the power. What was there
// before any of it is on disk.
func (x *torturer) keepAllOnDisk() {
	x.t.Helper()
	state, kept := filepath.Join(images, "state"), keptDefinitions()
	tool(x.t, "mkdir", "-m", "711", state)
	tool(x.t, "cp", "-a", definitions, kept)
	tool(x.t, "mount", "--bind", kept, definitions)
	tool(x.t, "sync")
	x.p.StateDir, x.failing.StateDir = state, state
	x.t.Cleanup(func() {
		tool(x.t, "umount", definitions)
		tool(x.t, "cp", "-aT", kept, definitions)
		tool(x.t, "rm", "-r", kept)
	})
}

func keptDefinitions() string { return filepath.Join(images, "definitions") }

// losePower ends everything that runs on this host at one instant, and starts the host again.
func (x *torturer) losePower(domsnap *os.Process) {
	x.t.Helper()
	tool(x.t, "lab-power", "off")
	// Its children last: one that it waits for at the point would have it go on.
	_ = exec.Command("sh", "-c", `kill -9 "$1" $(pgrep -P "$1")`, "sh", strconv.Itoa(domsnap.Pid)).Run()
	dies("domsnap-guardian", "qemu-system-x86_64", "libvirtd")
	tool(x.t, "umount", definitions)
	tool(x.t, "lab-power", "on")
	tool(x.t, "mount", "--bind", keptDefinitions(), definitions)
	tool(x.t, "sh", "-c", "rm -f /run/libvirt/qemu/*.xml")
	tool(x.t, "libvirtd", "-d")
	check(x.t, x.Reconnect())
}
