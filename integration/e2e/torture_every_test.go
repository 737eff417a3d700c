//go:build lab && torture

package e2e

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
)

const everyPoint = true

// hookRounds is how often TestHookBesideOthers goes round.
const hookRounds = 100

// moreOnOwnKernel are, of these tests, those about logical volumes, the clock, the power or AppArmor.
var moreOnOwnKernel = []func(*testing.T){
	TestTortureMixedOff, TestTortureMixedOn, TestTortureGuestEnds, TestTortureFull, TestTortureFullOff, TestTortureStandingStill,
	TestTorturePowerLoss, TestTortureTools, TestTorturePowerLossOff, TestOneInstant, TestShieldMeetsOthers, TestSevenNights,
	TestConfinedGuest,
}

// inMixed are the acts that every domain comes to: the mixed one has shown what is left of them.
var inMixed = regexp.MustCompile(`the journal|definition|: (write the metadata|power off|start|pause|resume)|agent: `)

// What the mixed domain does not show: the other methods, and those that take several disks in one transaction.

func TestTortureOthersOff(t *testing.T)   { restOff(t, otherKinds(), internal("vda")...) }
func TestTortureOthersOn(t *testing.T)    { restOn(t, otherKinds(), internal("vda")...) }
func TestTortureQcowOff(t *testing.T)     { restOff(t, two(lab.QcowFile)) }
func TestTortureQcowOn(t *testing.T)      { restOn(t, two(lab.QcowFile)) }
func TestTortureInternalOff(t *testing.T) { restOff(t, two(lab.QcowFile), internal("vda", "vdb")...) }
func TestTortureInternalOn(t *testing.T)  { restOn(t, two(lab.QcowFile), internal("vda", "vdb")...) }

func restOff(t *testing.T, kinds []lab.Kind, options ...string) {
	before := objects(t)
	x := newTorturer(t, blank(kinds...), options...)
	x.shown = inMixed
	x.begin()
	x.runOff()
	x.end(before)
}

func restOn(t *testing.T, kinds []lab.Kind, options ...string) {
	x := newTorturer(t, small(kinds...), options...)
	x.shown = inMixed
	x.whileOn()
}

func otherKinds() []lab.Kind {
	return []lab.Kind{lab.QcowFile, lab.RawFile, lab.BtrfsFile, lab.XFSFile, lab.NBD}
}

func two(k lab.Kind) []lab.Kind { return []lab.Kind{k, k} }

// internal are the options for snapshots inside images.
func internal(targets ...string) []string {
	var options []string
	for _, target := range targets {
		options = append(options, "--diskspec", target+",method=qemu,mode=internal")
	}
	return options
}

// TestTorturePowerLoss: the power is lost at each act of a create, and the domain is started without us: what the guest
// was told is on its disks is there.
func TestTorturePowerLoss(t *testing.T) {
	x := newTorturer(t, small(fiveKinds()...))
	x.keepAllOnDisk()
	x.shieldedEnd("power lost", x.losePower, x.chosen)
}

// TestTortureQEMUDies: the guest's QEMU alone dies, and the create goes on as well as it can.
func TestTortureQEMUDies(t *testing.T) {
	x := newTorturer(t, small(lab.QcowFile, lab.RBD))
	x.shieldedEnd("QEMU dies", func(*os.Process) {
		dies("qemu-system-x86_64")
		x.await(x.shutOff, true, 10*time.Second)
	}, x.chosen)
}

// TestTortureGuestEnds: the guest begins anew, or shuts itself down. In one that stands still nothing shuts it down.
func TestTortureGuestEnds(t *testing.T) {
	x := newTorturer(t, small(lab.QcowFile, lab.ThinLV))
	const frozen, takes, commits, switches = "libvirt: QEMU: transaction", "run lvcreate#2", "libvirt: QEMU: block-commit", "libvirt: switch to the overlays"
	x.shieldedEnd("guest reset", func(*os.Process) {
		tool(x.t, "virsh", "-q", "reset", x.Name())
	}, func(all []string) []string { return x.at(all, frozen, commits, switches) })
	check(t, x.Stop())
	x.shieldedEnd("guest shut down", func(*os.Process) {
		// It answers nothing any more.
		go func() { _, _ = x.Control(t.Context(), "poweroff -n -f") }()
		x.await(x.shutOff, true, 10*time.Second)
	}, func(all []string) []string { return x.at(all, frozen, takes, commits) })
}
