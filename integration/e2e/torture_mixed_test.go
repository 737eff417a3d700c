//go:build lab

package e2e

import (
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestTortureMixedOff kills every verb on five disks of four storages, and the recover that follows.
func TestTortureMixedOff(t *testing.T) { tortureOff(t, fiveKinds()) }

// TestTortureMixedOn does that while the guest writes.
func TestTortureMixedOn(t *testing.T) { tortureOn(t, fiveKinds()) }

func fiveKinds() []lab.Kind {
	return []lab.Kind{lab.QcowFile, lab.ThickLV, lab.ThinLV, lab.BtrfsSubvol, lab.RBD}
}

// tortureOff interrupts what works on a domain that is off.
func tortureOff(t *testing.T, kinds []lab.Kind, options ...string) {
	before := objects(t)
	x := newTorturer(t, blank(kinds...), options...)
	x.begin()
	for _, v := range []victim{x.creates(), x.reverts(), x.revertsPaused(), x.deletes()} {
		x.run(v)
	}
	for _, v := range []victim{x.creates(), x.reverts(), x.deletes()} {
		x.doubly(v)
	}
	x.end(before)
}

// tortureOn interrupts what works on a domain that runs.
func tortureOn(t *testing.T, kinds []lab.Kind, options ...string) {
	before := objects(t)
	x := newTorturer(t, small(kinds...), options...)
	x.boot()
	for _, v := range []victim{x.createsRunning(), x.createsRunning("--quiesce", "no"), x.deletesRunning()} {
		x.run(v)
	}
	x.end(before)
}
