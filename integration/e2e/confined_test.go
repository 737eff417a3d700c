//go:build lab && torture

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"libvirt.org/go/libvirtxml"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

const (
	apparmor = "/etc/apparmor.d"
	qemuConf = "/etc/libvirt/qemu.conf"
)

// TestConfinedGuest: a QEMU that is not root, and that AppArmor confines by the profile that libvirt makes for it, can open
// the overlays of a shield by the rule that is in the package. Without the rule the guest is held, and the snapshot says why.
func TestConfinedGuest(t *testing.T) {
	confine(t)
	x := newTorturerOf(t, lab.Options{
		Disks: small(lab.QcowFile, lab.ThickLV, lab.BtrfsSubvol),
		// Libvirt lets nobody confine what is below /usr/share.
		Change: func(d *libvirtxml.Domain) {
			d.OS.Kernel, d.OS.Initrd = "/run/lab-guest/vmlinuz", "/run/lab-guest/initrd.img"
		},
	})
	before := objects(t)
	x.keepStateIn(newStateDir(t), "300m")
	x.boot()
	x.wantConfined()
	x.heldWithout("QEMU cannot use")
	x.end(before)
	_, err := x.Control(t.Context(), "kill $(cat /run/chain.pid); sync")
	check(t, err)
	check(t, x.Stop())

	x.installRule()
	x.boot()
	x.wantConfined()
	x.shieldedRound()
	x.checkNoShield()
	x.othersAreOutOfReach()
	x.end(before)
}

// newStateDir is where the rule says that the state is.
func newStateDir(t *testing.T) string {
	t.Helper()
	const dir = "/var/lib/domsnap"
	check(t, os.MkdirAll(dir, 0o711))
	return dir
}

// confine has AppArmor confine libvirt's daemon, without which it confines no guest, and QEMU run as the user that it has
// in a package.
func confine(t *testing.T) {
	t.Helper()
	conf, err := os.ReadFile(qemuConf)
	check(t, err)
	t.Cleanup(func() {
		check(t, os.WriteFile(qemuConf, conf, 0o600))
		restartLibvirt(t, "-R")
	})
	changed := strings.NewReplacer(`"root"`, `"libvirt-qemu"`, `"none"`, `"apparmor"`).Replace(string(conf))
	check(t, os.WriteFile(qemuConf, []byte(changed), 0o600))
	restartLibvirt(t, "-r")
}

// restartLibvirt loads or unloads the profiles of libvirt's programs, and has the daemon begin with what is there.
func restartLibvirt(t *testing.T, change string) {
	t.Helper()
	for _, profile := range []string{"usr.lib.libvirt.virt-aa-helper", "usr.sbin.libvirtd"} {
		tool(t, "apparmor_parser", change, filepath.Join(apparmor, profile))
	}
	tool(t, "sh", "-c", "pkill -x libvirtd; while pidof libvirtd >/dev/null; do sleep 0.1; done; libvirtd -d")
}

// wantConfined: the guest's QEMU is what it is taken for.
func (x *torturer) wantConfined() {
	x.t.Helper()
	uuid, err := x.Libvirt().GetUUIDString()
	check(x.t, err)
	script := `pid=$(pgrep -f "qemu-system.*$1" | head -n1); cat "/proc/$pid/attr/current"; ps -o user:20= -p "$pid"`
	if is := tool(x.t, "sh", "-c", script, "sh", x.Name()); !strings.Contains(is, "libvirt-"+uuid+" (enforce)") || !strings.Contains(is, "libvirt-qemu") {
		x.t.Errorf("QEMU is confined as %q", is)
	}
}

// heldWithout: where QEMU may not open the overlays the guest is held instead, or the shield that was asked for refused.
func (x *torturer) heldWithout(why string) {
	x.t.Helper()
	s := x.p.create(x.Name(), "held")
	if by := s.Consistency.HeldBy; by == nil || *by != string(orchestrator.Hold) || !strings.Contains(strings.Join(s.Consistency.Skipped, " "), why) {
		x.t.Errorf("it was not held: %+v", s.Consistency)
	}
	x.checkInstantOf(&s)
	x.checkChain()
	x.p.delete(x.Name(), "held")
	if said := x.p.fails(1, "snapshot-create-as", x.Name(), "no", "--shield"); !strings.Contains(said, why) {
		x.t.Errorf("it says %q", said)
	}
	x.checkNoShield()
}

// othersAreOutOfReach: the rule lets a guest have its own overlays, and not another's, though their QEMUs are of one user.
func (x *torturer) othersAreOutOfReach() {
	x.t.Helper()
	uuid, err := x.Libvirt().GetUUIDString()
	check(x.t, err)
	for dir, may := range map[string]bool{"libvirt-" + uuid: true, "libvirt-6f1d2c3b-0000-4000-8000-000000000001": false} {
		file := filepath.Join(x.p.StateDir, "shield", dir, "mine")
		tool(x.t, "sh", "-c", `mkdir -p -m 711 "${1%/*}" && truncate -s 1M "$1" && chown libvirt-qemu: "$1"`, "sh", file)
		said := x.qmp(`{"execute":"blockdev-add","arguments":{"driver":"file","node-name":"reach","filename":"` + file + `"}}`)
		if denied := strings.Contains(said, "Permission denied"); denied == may {
			x.t.Errorf("QEMU may have %s: %v, and says %s", file, may, said)
		}
		if may {
			x.qmp(`{"execute":"blockdev-del","arguments":{"node-name":"reach"}}`)
		}
		check(x.t, os.Remove(file))
	}
}

// installRule puts the rule where it is in a package; it counts for guests that start from then on.
func (x *torturer) installRule() {
	x.t.Helper()
	dir := filepath.Join(apparmor, "abstractions", "libvirt-qemu.d")
	check(x.t, os.MkdirAll(dir, 0o755))
	tool(x.t, "cp", "integration/apparmor/domsnap", dir)
	x.t.Cleanup(func() { check(x.t, os.RemoveAll(dir)) })
}
