//go:build lab

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/integration/lab"
)

const hooks = "/etc/libvirt/hooks"

// TestHalfRevertedDomainDoesNotStart: a revert is killed between two disks; libvirt refuses to start the domain, by the
// hook that is installed beside another, until recover has ended the revert.
func TestHalfRevertedDomainDoesNotStart(t *testing.T) {
	m := newMachine(t, small(lab.QcowFile, lab.ThinLV))
	other := m.p.installHook()
	m.p.create(m.Name(), "s1")
	m.startStop()
	if calls, err := os.ReadFile(other); err != nil || !strings.Contains(string(calls), m.Name()+" prepare begin") {
		t.Errorf("the hook that was there is not called any more: %q, %v", calls, err)
	}

	m.killRevert("s1")
	// While a revert is under way or has broken off, all the same.
	m.refused("virsh", "start", m.Name())
	m.refused("virsh", "start", m.Name(), "--paused")
	var recovered struct{ Domains []struct{ Did []string } }
	m.p.must(&recovered, "recover", m.Name())
	if len(recovered.Domains) != 1 {
		t.Errorf("recover: %+v", recovered)
	}
	m.startStop()
	m.deleteEverything()
}

// installHook puts the hook where libvirt looks, with this program and its state directory, and two hooks of others, which
// write down how they are called.
func (p *program) installHook() (calls string) {
	p.t.Helper()
	text, err := os.ReadFile("integration/hooks/qemu")
	check(p.t, err)
	hook := strings.NewReplacer("/var/lib/domsnap", p.StateDir, "/usr/local/bin", p.wrapped()).Replace(string(text))
	calls = filepath.Join(p.t.TempDir(), "calls")
	check(p.t, os.MkdirAll(hooks+"/qemu.d", 0o755))
	p.t.Cleanup(func() { check(p.t, os.RemoveAll(hooks)) })
	for _, other := range []string{"qemu", "qemu.d/another"} {
		noted := fmt.Sprintf("#!/bin/sh\necho %s \"$@\" >>%s\n", other, calls)
		check(p.t, os.WriteFile(hooks+"/"+other, []byte(noted), 0o755))
	}
	check(p.t, os.WriteFile(hooks+"/qemu.d/domsnap", []byte(hook), 0o755))
	// libvirt looks for hooks when it starts and when it is told to reload.
	tool(p.t, "sh", "-c", "kill -HUP $(pidof libvirtd)")
	time.Sleep(2 * time.Second)
	return calls
}

// wrapped is a directory with a program that is this one, with the tools in front that the tests put there.
func (p *program) wrapped() string {
	p.t.Helper()
	if p.ToolDir == "" {
		p.ToolDir = p.t.TempDir()
	}
	dir := p.t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\nPATH=%s:$PATH exec %s \"$@\"\n", p.ToolDir, p.Path)
	check(p.t, os.WriteFile(dir+"/domsnap", []byte(text), 0o755))
	return dir
}

// startPaused starts QEMU, and no guest in it.
func (m *machine) startPaused() {
	m.t.Helper()
	check(m.t, m.Libvirt().CreateWithFlags(libvirt.DOMAIN_START_PAUSED))
}

func (m *machine) startStop() {
	m.t.Helper()
	m.startPaused()
	check(m.t, m.Stop())
}

// killRevert kills a revert right before its second disk.
func (m *machine) killRevert(name string) {
	m.t.Helper()
	reached := filepath.Join(m.t.TempDir(), "reached")
	p := failing(m.t, m.p.StateDir)
	p.Env = []string{"DOMSNAP_AT=before revert vdb#1", "DOMSNAP_THEN=touch " + reached + "; sleep 60"}
	victim := p.Command(m.t.Context(), "snapshot-revert", m.Name(), name, "--no-safety")
	victim.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(m.t, victim.Start())
	m.await(func() bool { _, err := os.Stat(reached); return err == nil }, true, 30*time.Second)
	m.refused("virsh", "start", m.Name())
	check(m.t, syscall.Kill(-victim.Process.Pid, syscall.SIGKILL))
	_ = victim.Wait()
}

// refused runs what libvirt has to refuse, for the reason that the hook gives.
func (m *machine) refused(name string, args ...string) {
	m.t.Helper()
	start := time.Now()
	out, err := exec.Command(name, args...).CombinedOutput()
	m.t.Logf("%s %v in %d ms: %s", name, args, time.Since(start).Milliseconds(), out)
	if want := "domain " + m.Name() + " is half-reverted: run domsnap recover " + m.Name(); err == nil || !strings.Contains(string(out), want) {
		m.t.Errorf("%s %v: %v: %s", name, args, err, out)
	}
}
