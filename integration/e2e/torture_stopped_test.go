//go:build lab

package e2e

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/quiesce"
)

// TestTortureStopped has the program stand still while it holds the guest, as one does that a person stops, and go on when
// the guardian has let the guest go. What it was about to do must not come any more.
func TestTortureStopped(t *testing.T) {
	x := newTorturer(t, small(lab.QcowFile, lab.ThinLV))
	before, start := objects(t), time.Now()
	x.boot()
	v := x.createsRunning("--shield")
	all := x.points(v)
	chosen := []string{"before libvirt: QEMU: qom-set#1"}
	if x.every {
		chosen = whileHeld(all)
	}
	for _, point := range chosen {
		t.Logf("%s: stopped %s", v.name, point)
		v.ready()
		x.runAt(point, v.args, x.standStill)
		x.recover(v)
		x.checkNoShield()
		if t.Failed() {
			t.Fatalf("%s: stopped %s", v.name, point)
		}
	}
	x.passed(tally{v.name, "domsnap stopped", len(all), len(chosen), start})
	x.end(before)
}

// whileHeld are the points at which something changes while the guest is frozen or paused.
func whileHeld(all []string) []string {
	var held []string
	holds := false
	for _, p := range beforeChanges(all) {
		switch {
		case strings.HasPrefix(p, "before agent: guest-fsfreeze-freeze"), strings.HasPrefix(p, "before libvirt: pause"):
			holds = true
		case strings.HasPrefix(p, "before agent: guest-fsfreeze-thaw"), strings.HasPrefix(p, "before libvirt: resume"):
			holds = false
		case holds:
			held = append(held, p)
		}
	}
	return slices.Compact(held)
}

// standStill is longer than a guest may be held, and then some, in which the guest writes.
func (x *torturer) standStill(domsnap *os.Process) {
	x.t.Helper()
	check(x.t, domsnap.Signal(syscall.SIGSTOP))
	x.await(x.frozen, false, quiesce.HoldLimit+quiesce.MaxFreezeTimeout+30*time.Second)
	acked := x.acked()
	x.await(func() bool { return x.acked() > acked }, true, longestHeld)
	_ = domsnap.Signal(syscall.SIGCONT)
}
