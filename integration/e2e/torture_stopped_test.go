//go:build lab

package e2e

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/quiesce"
)

// TestTortureStopped has an act wait, or the whole program stand still as one does that a person stops, while the guest is
// held, and go on when the guest has been let go. What it was about to do must not come any more.
func TestTortureStopped(t *testing.T) {
	before := objects(t)
	x := newTorturer(t, small(lab.QcowFile, lab.ThinLV))
	x.boot()
	v := x.createsRunning("--shield")
	acts := []string{"before libvirt: QEMU: qom-set#1"}
	// The guardian ends the program wherever it is.
	x.late(v, "domsnap stopped", acts, x.standStill)
	if x.every {
		acts = slices.DeleteFunc(whileHeld(x.points(v)), thawsOrResumes.MatchString)
	}
	x.late(v, "act waits", acts, x.waitLong)
	x.end(before)
}

func (x *torturer) late(v victim, name string, acts []string, wait func(*os.Process)) {
	x.t.Helper()
	x.each(way{v.name, name, len(acts)}, acts, func(point string) {
		v.ready()
		x.runAt(point, v.args, wait)
		x.recover(v)
		x.checkNoShield()
	})
}

// standStill has the program itself wait.
func (x *torturer) standStill(domsnap *os.Process) {
	x.t.Helper()
	check(x.t, domsnap.Signal(syscall.SIGSTOP))
	x.waitLong(domsnap)
	_ = domsnap.Signal(syscall.SIGCONT)
}

// waitLong is longer than a guest may be held, and then some, in which the guest writes.
func (x *torturer) waitLong(*os.Process) {
	x.t.Helper()
	x.await(x.frozen, false, quiesce.HoldLimit+quiesce.MaxFreezeTimeout+30*time.Second)
	acked := x.acked()
	x.await(func() bool { return x.acked() > acked }, true, longestHeld)
}
