//go:build lab && torture

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
)

// The programs that a guest depends on.
const (
	daemon   = "libvirtd"
	emulator = "qemu-system-x86_64"
)

// TestTortureStandingStill has what domsnap depends on stand still, as a daemon or a QEMU does that waits for a dead storage: each
// verb ends soon after it is told to, or by itself, and says what is the matter; a guest that is held is let go as soon as
// that is possible.
func TestTortureStandingStill(t *testing.T) {
	m := startMachine(t, small(lab.QcowFile, lab.ThickLV))
	t.Cleanup(func() { goOn(t, daemon); goOn(t, emulator) })
	for _, c := range []struct {
		name string
		run  func(*machine)
		// long takes minutes.
		long bool
	}{
		{"libvirtd before it is asked", func(m *machine) { standStill(m.t, daemon); m.stopsWhileItAsks(daemon) }, false},
		{"libvirtd in a plan", func(m *machine) { m.shimStill("lvs", daemon); m.stopsWhileItAsks(daemon) }, false},
		{"QEMU before it is asked", func(m *machine) { standStill(m.t, emulator); m.stopsWhileItAsks(emulator) }, false},
		{"QEMU in a plan", func(m *machine) { m.shimStill("lvs", emulator); m.stopsWhileItAsks(emulator) }, false},
		{"QEMU for long", (*machine).planOnQEMUThatStandsStill, true},
		{"libvirtd while the guest is held", func(m *machine) { m.heldByStill(syscall.SIGTERM) }, false},
		{"libvirtd while the guest is held, and domsnap is killed", func(m *machine) { m.heldByStill(syscall.SIGKILL) }, false},
	} {
		if c.long && !everyPoint {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			before := objects(t)
			sub := *m
			sub.t, sub.p = t, newProgram(t)
			c.run(&sub)
			goOn(t, daemon)
			goOn(t, emulator)
			sub.p.ToolDir = ""
			sub.await(sub.frozen, false, 5*time.Second)
			sub.checkAsBefore(before)
		})
	}
}

func standStill(t *testing.T, program string) {
	t.Helper()
	tool(t, "pkill", "-STOP", "-x", short(program))
}

func goOn(t *testing.T, program string) {
	t.Helper()
	tool(t, "pkill", "-CONT", "-x", short(program))
}

// short is how the kernel knows a program.
func short(program string) string { return program[:min(len(program), 15)] }

// stands says that the program stands still.
func stands(program string) bool {
	return exec.Command("pgrep", "-r", "T", "-x", short(program)).Run() == nil
}

// shimStill has a program stand still when a tool is run.
func (m *machine) shimStill(name, program string) {
	m.p.shim(name, fmt.Sprintf("pkill -STOP -x %s\nexec $REAL \"$@\"", short(program)))
}

// stopsWhileItAsks tells a plan to stop that waits for a program that stands still.
func (m *machine) stopsWhileItAsks(program string) {
	m.t.Helper()
	plan := m.p.Command(m.t.Context(), "snapshot-create-as", m.Name(), "s1", "--dry-run")
	var said strings.Builder
	plan.Stdout = &said
	check(m.t, plan.Start())
	m.await(func() bool { return stands(program) }, true, 60*time.Second)
	// Who is told to stop at once does not say that there was no answer.
	time.Sleep(5 * time.Second)
	check(m.t, plan.Process.Signal(syscall.SIGTERM))
	m.endsWithin(plan, 10*time.Second)
	if code := plan.ProcessState.ExitCode(); code != 1 || !strings.Contains(said.String(), "libvirt has not answered") {
		m.t.Errorf("exit %d, said %s", code, said.String())
	}
}

func (m *machine) endsWithin(cmd *exec.Cmd, most time.Duration) {
	m.t.Helper()
	start, late := time.Now(), time.AfterFunc(most, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	if !late.Stop() {
		m.t.Fatalf("it did not end within %s", most)
	}
	m.t.Logf("it ended after %d ms: %s", time.Since(start).Milliseconds(), cmd.ProcessState)
}

// planOnQEMUThatStandsStill: nobody tells it to stop, and it ends all the same.
func (m *machine) planOnQEMUThatStandsStill() {
	standStill(m.t, emulator)
	for range 2 {
		message := m.p.fails(1, "snapshot-create-as", m.Name(), "s1", "--dry-run")
		if !strings.Contains(message, "libvirt has not answered") && !strings.Contains(message, "state change lock") {
			m.t.Errorf("it says %s", message)
		}
	}
}

// heldByStill: libvirtd stands still while it would be needed to let the guest go, and then goes on.
func (m *machine) heldByStill(signal os.Signal) {
	m.p.shim("lvconvert", fmt.Sprintf(slow, 8))
	victim := m.p.Command(m.t.Context(), "snapshot-create-as", m.Name(), "victim", "--hold", "--quiesce", "require")
	check(m.t, victim.Start())
	m.await(m.frozen, true, 60*time.Second)
	standStill(m.t, daemon)
	check(m.t, victim.Process.Signal(signal))
	// Long enough for several attempts to be given up.
	time.Sleep(15 * time.Second)
	if !m.frozen() {
		m.t.Error("the guest goes on already: nothing was tried")
	}
	goOn(m.t, daemon)
	start := time.Now()
	m.await(m.frozen, false, 5*time.Second)
	m.t.Logf("the guest went on after %d ms", time.Since(start).Milliseconds())
	m.endsWithin(victim, 60*time.Second)
	m.await(guarded, false, 90*time.Second)
	m.p.ToolDir = ""
	if r := m.p.run("recover", m.Name()); r.Code != 0 {
		m.t.Errorf("recover: exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
}
