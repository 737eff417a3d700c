//go:build lab && torture

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestShieldMeetsOthers: whatever people do with the domain while overlays take what its guest writes, of which libvirt does
// not know, nothing of that is lost, and the domain starts.
func TestShieldMeetsOthers(t *testing.T) {
	x := newTorturer(t, small(lab.QcowFile, lab.ThickLV, lab.BtrfsSubvol))
	before := objects(t)
	x.keepAllOnDisk()
	x.boot()
	definition := x.definition()
	for _, others := range []struct {
		name string
		meet func()
	}{
		{"look, and try what cannot be", x.areRefused},
		{"pause the guest", x.isPaused},
		{"detach a disk", x.losesADisk},
		{"define the domain anew", x.isDefinedAnew},
		{"save it with its overlays", x.isSavedLater},
	} {
		t.Log(others.name)
		others.meet()
		x.checkObjects()
		x.checkNoShield()
		if now := x.definition(); now != definition {
			t.Errorf("the domain is\n%s\nand was\n%s", now, definition)
		}
		if t.Failed() {
			t.Fatal(others.name)
		}
	}
	x.end(before)
}

// reads are what others may do to a domain at any time, and refused what would act on disks that are not where libvirt
// believes them to be. $1 is the domain, $2 a file for what is written.
var (
	reads = []string{
		`virsh domblklist "$1" --details`, `virsh dumpxml "$1"`, `virsh dumpxml --inactive "$1"`, `virsh domblkinfo "$1" --all`,
		`virsh domstats "$1"`, `virsh suspend "$1" && virsh resume "$1"`,
	}
	refused = []string{
		`virsh managedsave "$1"`, `virsh save "$1" "$2"`, `virsh snapshot-create-as "$1" --memspec "$2" --no-metadata --diskspec vda,snapshot=no --diskspec vdb,snapshot=no --diskspec vdc,snapshot=no`,
		`virsh snapshot-create-as "$1" --disk-only --no-metadata --diskspec vda,file="$2" --diskspec vdb,snapshot=no --diskspec vdc,snapshot=no`,
		`virsh blockcommit "$1" vda --active --wait --pivot`, `virsh blockcopy "$1" vda "$2" --transient-job --wait --finish`,
		`virsh blockresize "$1" vdb 64M`,
	}
)

func (x *torturer) areRefused() {
	file := filepath.Join(images, x.Name()+"-theirs")
	code := x.whileShielded(func() {
		for _, script := range reads {
			tool(x.t, "sh", "-c", script, "sh", x.Name(), file)
		}
		for _, script := range refused {
			out, err := exec.Command("sh", "-c", script, "sh", x.Name(), file).CombinedOutput()
			x.t.Logf("%s: %v: %.200s", script, err, out)
			if err == nil {
				x.t.Errorf("libvirt did it: %s", script)
			}
			_ = os.Remove(file)
		}
	})
	if code != 0 || x.paused() {
		x.t.Errorf("exit %d, paused %v", code, x.paused())
	}
	x.checkChain()
	x.createsRunning().check()
}

// isPaused: who has paused the guest lets it go on.
func (x *torturer) isPaused() {
	code := x.whileShielded(func() { tool(x.t, "virsh", "-q", "suspend", x.Name()) })
	if code != 0 || !x.paused() {
		x.t.Errorf("exit %d, paused %v", code, x.paused())
	}
	tool(x.t, "virsh", "-q", "resume", x.Name())
	x.checkChain()
	x.createsRunning().check()
}

// losesADisk: the guest gives a disk back, which has everything that was written to it.
func (x *torturer) losesADisk() {
	acked := 0
	code := x.whileShielded(func() {
		acked = x.acked()
		_, err := x.Control(x.t.Context(), "kill $(cat /run/chain.pid); sync; umount /mnt/vdc")
		check(x.t, err)
		tool(x.t, "virsh", "-q", "detach-disk", x.Name(), "vdc", "--live")
		x.await(func() bool { return strings.Contains(x.blocks(), "vdc") }, false, time.Minute)
	})
	x.t.Logf("exit %d", code)
	x.recoverAll()
	x.checkNoShield()
	check(x.t, x.Stop())
	x.startsAgain(acked)
	x.createsRunning().check()
}

// isDefinedAnew: from what libvirt says of the domain that runs, and then the host dies. A start would be without what the
// guest wrote last.
func (x *torturer) isDefinedAnew() {
	definition, acked := tool(x.t, "virsh", "dumpxml", "--inactive", x.Name()), 0
	file := filepath.Join(x.t.TempDir(), "domain.xml")
	x.runAt("before take vdc by btrfs#1", x.createsRunning("--shield").args, func(domsnap *os.Process) {
		check(x.t, os.WriteFile(file, []byte(tool(x.t, "virsh", "dumpxml", x.Name())), 0o600))
		tool(x.t, "virsh", "-q", "define", file)
		tool(x.t, "sync")
		x.await(func() bool { return x.acked() > x.chain.count+2 }, true, time.Minute)
		acked = x.acked()
		x.losePower(domsnap)
	})
	x.await(guarded, false, longestHeld)
	if out, err := x.hook("prepare", file); err == nil || !strings.Contains(out, "recover") {
		x.t.Errorf("libvirt would start it: %s, %v", out, err)
	}
	x.recoverAll()
	if out, err := x.hook("prepare", file); err != nil {
		x.t.Errorf("libvirt would not start it: %s, %v", out, err)
	}
	check(x.t, os.WriteFile(file, []byte(definition), 0o600))
	tool(x.t, "virsh", "-q", "define", file)
	x.startsAgain(acked)
}

// isSavedLater: a domain that was started from the overlays goes on with its memory before they are taken away.
func (x *torturer) isSavedLater() {
	file, acked := filepath.Join(x.t.TempDir(), "domain.xml"), 0
	x.runAt("before take vdc by btrfs#1", x.createsRunning("--shield").args, x.losePower)
	x.await(guarded, false, longestHeld)
	x.on()
	x.startChain()
	x.await(func() bool { return x.acked() > 2 }, true, time.Minute)
	acked = x.acked()
	tool(x.t, "virsh", "-q", "managedsave", x.Name())
	x.t.Log(x.p.fails(7, "recover", x.Name()))
	check(x.t, os.WriteFile(file, []byte(tool(x.t, "virsh", "managedsave-dumpxml", x.Name())), 0o600))
	if out, err := x.hook("restore", file); err != nil {
		x.t.Errorf("libvirt would not restore it: %s, %v", out, err)
	}
	check(x.t, x.Stop())
	check(x.t, x.Start())
	x.recoverAll()
	x.checkRecords(acked)
}

// hook is libvirt's question whether a domain may start.
func (x *torturer) hook(operation, file string) (string, error) {
	script := fmt.Sprintf(`"$1" --state-dir "$2" hook qemu %s %s begin - <"$3" 2>&1`, x.Name(), operation)
	out, err := exec.Command("sh", "-c", script, "sh", x.p.Path, x.p.StateDir, file).CombinedOutput()
	return string(out), err
}

func (x *torturer) startsAgain(acked int) {
	x.t.Helper()
	x.on()
	x.checkRecords(acked)
	x.startChain()
}
