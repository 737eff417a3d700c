//go:build lab

package e2e

import (
	"regexp"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestTortureMixedOff kills every verb on five disks of four storages, and the recover that follows.
func TestTortureMixedOff(t *testing.T) {
	before := objects(t)
	x := newTorturer(t, blank(fiveKinds()...))
	x.begin()
	x.runOff()
	for _, v := range []victim{x.creates(), x.reverts(), x.deletes()} {
		x.run(x.recoverOf(v))
	}
	x.end(before)
}

// turns are the points of a forced revert between which it changes what recover has to do.
var turns = regexp.MustCompile(`^before (write the journal|end the journal|libvirt: )`)

// TestTortureForced kills a revert of a domain that is on, where libvirt asks the hook whether it may start.
func TestTortureForced(t *testing.T) {
	before := objects(t)
	x := newTorturer(t, blank(lab.QcowFile, lab.ThinLV))
	x.p.installHook()
	x.begin()
	v := x.revertsPaused()
	all := x.points(v)
	points := slices.DeleteFunc(slices.Clone(all), func(p string) bool { return !turns.MatchString(p) })
	x.each(way{v.name, "domsnap killed", len(all)}, append(points, all[len(all)-1]), func(point string) {
		v.ready()
		x.interrupt(point, kill, v.args)
		x.recover(v)
	})
	x.end(before)
}

// TestTortureAtShutdown interrupts a revert that was asked for at the shutdown.
func TestTortureAtShutdown(t *testing.T) {
	before := objects(t)
	x := newTorturer(t, blank(lab.QcowFile, lab.ThinLV))
	x.begin()
	x.run(x.revertsDue())
	x.end(before)
}

// TestTortureMixedOn does that while the guest writes.
func TestTortureMixedOn(t *testing.T) { newTorturer(t, small(fiveKinds()...)).whileOn() }

func fiveKinds() []lab.Kind {
	return []lab.Kind{lab.QcowFile, lab.ThickLV, lab.ThinLV, lab.BtrfsSubvol, lab.RBD}
}

// runOff interrupts what works on a domain that is off.
func (x *torturer) runOff() {
	x.t.Helper()
	for _, v := range []victim{x.creates(), x.reverts(), x.deletes()} {
		x.run(v)
	}
}

// whileOn interrupts what works on a domain that runs, from its start to its end.
func (x *torturer) whileOn() {
	x.t.Helper()
	before := objects(x.t)
	x.boot()
	victims := []victim{x.createsRunning(), x.deletesRunning(), x.createsHeld()}
	if x.every {
		victims = append(victims, x.createsHeld("--quiesce", "no"))
	}
	for _, v := range victims {
		x.run(v)
	}
	x.end(before)
}
