//go:build lab

package e2e

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// reverts is how the process shows that reverts a domain which has ended.
const reverts = " revert-due -- "

// TestRevertWhenTheGuestShutsDown: the guest goes on after the revert is asked for, shuts itself down, and its disks are back.
func TestRevertWhenTheGuestShutsDown(t *testing.T) {
	m := startMachine(t, small(lab.QcowFile, lab.ThinLV))
	m.p.installHook()
	log := listenLog(t)
	m.fill(1)
	then := m.guestSums()
	m.p.create(m.Name(), "s1")
	m.fill(2)
	m.askRevert("s1")
	m.fill(3)
	_, err := m.Control(t.Context(), "sync; (sleep 1; poweroff -f) >/dev/null 2>&1 &")
	check(t, err)
	m.awaitReverted()
	if got, want := log("domsnap-at-shutdown"), m.Name()+": reverted to s1, as was asked for at the shutdown"; !strings.Contains(got, want) {
		t.Errorf("the log has %q, want %q", got, want)
	}
	if m.safety() == nil {
		t.Error("the present is not kept")
	}
	m.on()
	if now := m.guestSums(); now != then {
		t.Errorf("the guest has\n%s\nwant\n%s", now, then)
	}
	check(t, m.Stop())
	m.deleteEverything()
}

// listenLog stands in for the system's log, and gives what somebody has told it.
func listenLog(t *testing.T) func(who string) string {
	t.Helper()
	const socket = "/dev/log"
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	check(t, err)
	t.Cleanup(func() {
		log.Close()
		os.Remove(socket)
	})
	return func(who string) string {
		t.Helper()
		check(t, log.SetReadDeadline(time.Now().Add(30*time.Second)))
		for message := make([]byte, 4096); ; {
			n, err := log.Read(message)
			check(t, err)
			if text := string(message[:n]); strings.Contains(text, who) {
				return text
			}
		}
	}
}

// TestRevertAtShutdown: whatever happens around the end of the domain, what was asked for is done once, or not at all when it
// was taken back.
func TestRevertAtShutdown(t *testing.T) {
	x := newTorturer(t, blank(lab.QcowFile, lab.ThinLV))
	x.base = x.diskSums()
	x.p.create(x.Name(), "base")
	x.revertAtBoot()
	x.p.installHook()
	x.revertAtEnd()
	x.revertBesideAStart()
	x.revertTakenBack()
	x.revertKilled()
	x.deleteEverything()
}

// ask has the domain running, and to be reverted to base.
func (x *torturer) ask() {
	x.t.Helper()
	x.scribble(presently)
	x.startPaused()
	x.askRevert("base", "--no-safety")
}

func (x *torturer) wantReverted() {
	x.t.Helper()
	x.awaitReverted()
	x.checkPresent(x.base)
	x.wantFindings()
}

// revertAtBoot: the hook was not called, as when the host goes down; what runs at boot does it.
func (x *torturer) revertAtBoot() {
	x.t.Helper()
	x.ask()
	x.p.must(new(any), "recover") // it runs
	check(x.t, x.Stop())
	x.wantFindings("waiting ")
	x.p.must(new(any), "--no-progress", "recover")
	x.wantReverted()
}

func (x *torturer) revertAtEnd() {
	x.t.Helper()
	x.ask()
	x.p.fails(6, "snapshot-delete", x.Name(), "base")
	tool(x.t, "virsh", "destroy", x.Name())
	x.wantReverted()
}

// revertBesideAStart: whoever is first, the domain runs on disks that are whole, and is reverted now or at its next end.
func (x *torturer) revertBesideAStart() {
	x.t.Helper()
	for range 3 {
		x.ask()
		tool(x.t, "virsh", "destroy", x.Name())
		out, err := exec.Command("virsh", "start", x.Name(), "--paused").CombinedOutput()
		x.t.Logf("the start right behind: %v, asked for still: %t: %s", err, x.asked() != "", out)
		check(x.t, x.Stop())
		x.wantReverted()
	}
}

func (x *torturer) revertTakenBack() {
	x.t.Helper()
	x.ask()
	x.p.fails(3, "snapshot-revert", x.Name(), "other", "--cancel")
	x.p.must(new(any), "snapshot-revert", x.Name(), "base", "--cancel")
	check(x.t, x.Stop())
	x.p.must(new(any), "recover")
	present := x.diskSums()
	if maps.Equal(present, x.base) {
		x.t.Error("it was reverted all the same")
	}
}

// revertKilled: recover finishes what was killed in the middle, and it is not asked for any more.
func (x *torturer) revertKilled() {
	x.t.Helper()
	reached := filepath.Join(x.t.TempDir(), "reached")
	x.ask()
	x.p.shim("qemu-img", `[ "$1" != create ] || { touch `+reached+`; sleep 60; }; exec "$REAL" "$@"`)
	check(x.t, x.Stop())
	x.await(func() bool { _, err := os.Stat(reached); return err == nil }, true, 60*time.Second)
	x.refused("virsh", "start", x.Name())
	killGroups(x.t, reverts)
	x.p.unshim("qemu-img")
	x.recoverAll()
	x.wantReverted()
	x.scribble(presently)
	present := x.diskSums()
	x.startStop()
	x.checkPresent(present)
}

// killGroups kills processes with all that they have started.
func killGroups(t *testing.T, pattern string) {
	t.Helper()
	for _, pid := range pids(pattern) {
		check(t, syscall.Kill(-pid, syscall.SIGKILL))
	}
	for end := time.Now().Add(10 * time.Second); len(pids(pattern)) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%v do not end", pids(pattern))
		}
	}
}

// TestRevertIsAServiceOfItsOwn: where systemd runs, the end of the unit that the hook is in does not end the revert.
func TestRevertIsAServiceOfItsOwn(t *testing.T) {
	x := newTorturer(t, blank(lab.QcowFile, lab.ThinLV))
	x.base = x.diskSums()
	x.p.create(x.Name(), "base")
	x.ask()
	check(t, x.Stop())
	x.p.shim("lvrename", "sleep 10; exec $REAL \"$@\"")
	domain := filepath.Join(t.TempDir(), "domain.xml")
	check(t, os.WriteFile(domain, []byte(tool(t, "virsh", "dumpxml", x.Name())), 0o600))
	s := bootSystemd(t)
	hook := fmt.Sprintf("exec %q --state-dir %q hook qemu -- %s release end - <%q", x.p.Path, x.p.StateDir, x.Name(), domain)
	s.run("systemd-run", "--unit=caller", "--collect", "--setenv=PATH="+x.p.ToolDir+":"+os.Getenv("PATH"), "--", "sh", "-c", hook)
	running := func() string {
		return s.run("systemctl", "list-units", "--plain", "--no-legend", "--state=running", "caller.service", "domsnap-at-shutdown-*.service")
	}
	x.await(func() bool { return strings.HasPrefix(running(), "domsnap-at-shutdown-"+x.uuid()) }, true, 30*time.Second)
	x.wantReverted()
	x.deleteEverything()
}

func (m *machine) uuid() string {
	m.t.Helper()
	uuid, err := m.Libvirt().GetUUIDString()
	check(m.t, err)
	return uuid
}

// askRevert asks for a revert at the domain's next shutdown.
func (m *machine) askRevert(name string, options ...string) {
	m.t.Helper()
	var a orchestrator.AtShutdown
	m.p.must(&a, append([]string{"snapshot-revert", m.Name(), name, "--at-shutdown"}, options...)...)
	if a.Snapshot != name || a.Due || m.asked() != name {
		m.t.Errorf("it answers %+v, and the list has %q", a, m.asked())
	}
}

// asked is the snapshot that the domain reverts to when it is off next.
func (m *machine) asked() string {
	m.t.Helper()
	for _, s := range m.p.list(m.Name()) {
		if s.RevertAtShutdown {
			return s.Name
		}
	}
	return ""
}

// awaitReverted waits until nothing is asked for any more, and the process that has done it has ended.
func (m *machine) awaitReverted() {
	m.t.Helper()
	m.await(func() bool {
		left, err := filepath.Glob(m.p.StateDir + "/at-shutdown/*")
		return err != nil || len(left) > 0 || len(pids(reverts)) > 0
	}, false, 120*time.Second)
}

// pids are the processes whose command lines match.
func pids(pattern string) []int {
	out, _ := exec.Command("pgrep", "-f", "--", pattern).Output()
	var all []int
	for _, word := range strings.Fields(string(out)) {
		pid, err := strconv.Atoi(word)
		if err == nil {
			all = append(all, pid)
		}
	}
	return all
}
