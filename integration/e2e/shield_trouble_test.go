//go:build lab

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestShieldMeetsTrouble: whatever becomes of the guest, or of the room, while overlays take what it writes, nothing of
// that is lost, and the snapshot is good or not there.
func TestShieldMeetsTrouble(t *testing.T) {
	x := newTorturer(t, small(lab.QcowFile, lab.ThickLV, lab.BtrfsSubvol))
	before := objects(t)
	x.keepStateIn(t.TempDir(), "200m")
	room := mostOf(t, x.p.StateDir)
	x.boot()
	for _, trouble := range []struct {
		name string
		meet func()
	}{
		{"runs out of room", func() { x.runsOut(room) }},
		{"is stopped", func() { x.isStopped(room) }},
		{"has no room", func() { x.heldInstead("are free", room.fill, room.free) }},
		{"a block job runs", func() { x.heldInstead("a block job", x.beginJob, x.endJob) }},
		{"guest reset", x.isReset},
		{"guest destroyed", x.isDestroyed},
	} {
		t.Log(trouble.name)
		trouble.meet()
		if t.Failed() {
			t.Fatal(trouble.name)
		}
	}
	x.end(before)
}

// mostOf leaves less room than overlays have to have, and enough for what a guest writes in a moment.
func mostOf(t *testing.T, dir string) filler {
	file := filepath.Join(dir, "filler")
	return filler{
		"little room",
		func() { tool(t, "fallocate", "-l", "180M", file) },
		func() { check(t, os.Remove(file)) },
	}
}

// whileShielded has something happen behind the shield, and gives the exit code.
func (x *torturer) whileShielded(happen func()) int {
	x.t.Helper()
	args := x.createsRunning("--shield").args
	state, said := x.runAt("before take vdc by btrfs#1", args, func(*os.Process) { happen() })
	x.t.Logf("exit %d: %.300s", state.ExitCode(), said)
	return state.ExitCode()
}

// runsOut: the takes are given up while there is still room for what the guest writes.
func (x *torturer) runsOut(room filler) {
	x.t.Helper()
	if code := x.whileShielded(func() { room.fill(); time.Sleep(time.Second) }); code != 1 {
		x.t.Errorf("exit %d, want 1", code)
	}
	if x.paused() {
		x.t.Error("the guest was stopped")
	}
	room.free()
	x.checkChain()
	x.checkObjects()
	x.checkNoShield()
}

// isStopped: a guest that QEMU has stopped goes on when its disks are where there is room.
func (x *torturer) isStopped(room filler) {
	x.t.Helper()
	all := filepath.Join(x.p.StateDir, "all")
	code := x.whileShielded(func() {
		// What else the guest writes may need no more room for a while.
		_, err := x.Control(x.t.Context(), "(sleep 5; dd if=/dev/urandom of=/mnt/vdb/more bs=64k count=100 conv=fsync; rm /mnt/vdb/more) >/dev/null 2>&1 &")
		check(x.t, err)
		room.fill()
		tool(x.t, "sh", "-c", `cat /dev/zero >"$1" 2>/dev/null || true`, "sh", all)
		x.await(x.paused, true, time.Minute)
		tool(x.t, "rm", all)
		room.free()
	})
	if x.paused() {
		x.t.Errorf("exit %d, and the guest is stopped", code)
	}
	x.recoverAll()
	x.checkChain()
	x.checkObjects()
	x.checkNoShield()
	x.createsRunning().check()
}

// heldInstead: without a shield the guest is held, the snapshot says why, and who asked for a shield is told.
func (x *torturer) heldInstead(why string, begin, end func()) {
	x.t.Helper()
	begin()
	message := x.p.fails(6, "snapshot-create-as", x.Name(), "no", "--shield")
	var plan struct {
		Plan struct {
			Hold struct{ Why string }
		}
	}
	x.p.must(&plan, "snapshot-create-as", x.Name(), "no", "--dry-run")
	end()
	if hold := plan.Plan.Hold.Why; !strings.Contains(message, why) || !strings.Contains(hold, why) {
		x.t.Errorf("%q and %q do not say %q", message, hold, why)
	}
}

// beginJob has libvirt copy a disk, slowly.
func (x *torturer) beginJob() {
	x.t.Helper()
	target := filepath.Join(images, x.Name()+"-mirror.qcow2")
	tool(x.t, "virsh", "-q", "blockcopy", x.Name(), "vda", target, "--transient-job", "--bandwidth", "1")
}

func (x *torturer) endJob() {
	x.t.Helper()
	tool(x.t, "virsh", "-q", "blockjob", x.Name(), "vda", "--abort")
	check(x.t, os.Remove(filepath.Join(images, x.Name()+"-mirror.qcow2")))
}

// isReset: the disks are the same, and so is what is on them.
func (x *torturer) isReset() { x.endsBehind("reset", func() {}) }

// isDestroyed: the snapshot was of the instant before.
func (x *torturer) isDestroyed() { x.endsBehind("destroy", func() { check(x.t, x.Start()) }) }

// endsBehind has virsh end what the guest does, and looks at it when it has begun again.
func (x *torturer) endsBehind(verb string, start func()) {
	x.t.Helper()
	acked := 0
	code := x.whileShielded(func() {
		acked = x.acked()
		tool(x.t, "virsh", "-q", verb, x.Name())
	})
	if code != 0 {
		x.t.Errorf("exit %d", code)
	}
	start()
	check(x.t, x.WaitAgent(lab.BootTimeout))
	x.checkAfterStart(acked)
}

// checkAfterStart looks at a guest that has started again, and at the snapshot that was taken meanwhile.
func (x *torturer) checkAfterStart(acked int) {
	x.t.Helper()
	x.checkRecords(acked)
	x.startChain()
	x.checkObjects()
	x.checkNoShield()
	if x.named("new") == nil {
		x.t.Error("the snapshot is not there")
	}
	x.createsRunning().check()
}

// TestShieldedSnapshotsGoBack: what the shield leaves of a disk that stays on its overlay is a definition that later
// reverts and deletes of a domain that is off can count on.
func TestShieldedSnapshotsGoBack(t *testing.T) {
	m := startMachine(t, small(lab.QcowFile, lab.BtrfsSubvol))
	before := objects(t)
	for seed, name := range []string{"s0", "s1", "s2"} {
		m.fill(uint64(seed))
		m.p.create(m.Name(), name, "--shield")
	}
	m.fill(9)
	for i, name := range []string{"s0", "s2", "s1"} {
		m.off()
		m.p.revert(m.Name(), name, "--no-safety")
		m.on()
		m.checkGuestHas([]uint64{0, 2, 1}[i])
	}
	m.off()
	m.p.delete(m.Name(), "s0")
	m.on()
	m.checkGuestHas(1)
	m.deleteEverything()
	if now := objects(t); now != before {
		t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
}
