//go:build lab

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestWholeMachine: the variables of the firmware and the state of the TPM go back with the disks, and forth again.
func TestWholeMachine(t *testing.T) {
	m := newMachineOf(t, lab.Options{Disks: blank(lab.QcowFile, lab.ThinLV), UEFI: true, TPM: true})
	if clean := m.p.create(m.Name(), "clean"); len(clean.Machine) > 0 {
		t.Errorf("kept before the first start are %q", clean.Machine)
	}
	// Nothing has to boot for QEMU and swtpm to make what is to be kept.
	check(t, m.Libvirt().CreateWithFlags(libvirt.DOMAIN_START_PAUSED))
	s := m.p.create(m.Name(), "s1")
	if !slices.Equal(s.Machine, []string{"nvram", "tpm"}) {
		t.Errorf("kept are %q", s.Machine)
	}
	then := m.firmware()
	check(t, m.Stop())
	m.breakFirmware()
	broken := m.firmware()
	if m.Libvirt().CreateWithFlags(libvirt.DOMAIN_START_PAUSED) == nil {
		t.Error("the TPM starts with a state of nonsense")
	}

	safety := *m.p.revert(m.Name(), "s1").Safety
	m.wantFirmware(then)
	m.p.revert(m.Name(), safety, "--no-safety")
	m.wantFirmware(broken)
	m.p.revert(m.Name(), "s1", "--no-safety")
	m.wantFirmware(then)
	check(t, m.Libvirt().CreateWithFlags(libvirt.DOMAIN_START_PAUSED))
	check(t, m.Stop())
	m.p.revert(m.Name(), "clean")
	if left := tool(t, "sh", "-c", `ls -d "$@" 2>&1 || true`, "sh", m.NVRAM(), m.tpm()); strings.Count(left, "No such file") != 2 {
		t.Errorf("what was made later is there: %s", left)
	}
	check(t, m.Libvirt().CreateWithFlags(libvirt.DOMAIN_START_PAUSED))
	check(t, m.Stop())
	m.changeDisks()
	m.deleteEverything()
}

// changeDisks: a revert to what the domain was with other disks says which, and does nothing.
func (m *machine) changeDisks() {
	m.t.Helper()
	tool(m.t, "virsh", "attach-disk", m.Name(), m.Source("vdb"), "vdc", "--config")
	tool(m.t, "virsh", "detach-disk", m.Name(), "vdb", "--config")
	m.t.Log(m.p.fails(6, "snapshot-revert", m.Name(), "s1"))
	m.p.revert(m.Name(), "s1", "--disk", "vda", "--no-safety")
	m.p.revert(m.Name(), "s1", "--map", "vdb=vdc")
}

func (m *machine) tpm() string {
	return filepath.Join("/var/lib/libvirt/swtpm", m.uuid())
}

// firmware is everything about the files, but for their times.
func (m *machine) firmware() string {
	m.t.Helper()
	return tool(m.t, "sh", "-c", `find "$@" ! -name .lock -printf '%p %y %m %u %g %s\n' -type f -exec sha256sum {} + | sort`,
		"sh", m.NVRAM(), m.tpm())
}

// breakFirmware writes nonsense over the half of it.
func (m *machine) breakFirmware() {
	m.t.Helper()
	tool(m.t, "sh", "-c", `find "$@" -type f ! -name .lock -exec dd if=/dev/urandom of={} bs=256 count=4 conv=notrunc status=none \;`,
		"sh", m.NVRAM(), m.tpm())
}

func (m *machine) wantFirmware(want string) {
	m.t.Helper()
	if now := m.firmware(); now != want {
		m.t.Errorf("firmware and TPM are\n%s\nwant\n%s", now, want)
	}
}
