//go:build lab

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/quiesce"
)

// TestGuardianRaisesTheAlarm: a guest that the guardian cannot let go shows in the system's log. The guest is the test
// hypervisor's, which has no agent.
func TestGuardianRaisesTheAlarm(t *testing.T) {
	log := listenLog(t)
	cmd := exec.Command(newProgram(t).Path, "guardian", "--connect", "test:///default", "--insist", "1s", "--",
		"6695eb01-f6a4-8304-79aa-97f2502e193f", "test")
	guardian, err := quiesce.StartGuardian(cmd)
	check(t, err)
	check(t, guardian.Holding(quiesce.HoldFreeze))
	check(t, guardian.Dismiss())
	got := log("domsnap-guardian")
	// 26 is the facility of daemons, and a critical condition.
	if !strings.HasPrefix(got, "<26>") || !strings.Contains(got, "virsh domfsthaw test") {
		t.Errorf("the log has %q", got)
	}
	t.Cleanup(func() { awaitGone(t) })
}

// awaitGone waits for a guardian that has said its last word to end.
func awaitGone(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); guarded(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the guardian does not end")
		}
	}
}

// TestKilledServiceLetsTheGuestGo: systemd kills a service with all its processes while it holds the guest. The guardian
// is not one of them.
func TestKilledServiceLetsTheGuestGo(t *testing.T) {
	m := startMachine(t, small(lab.QcowFile, lab.ThickLV))
	s := bootSystemd(t)
	m.p.shim("lvconvert", fmt.Sprintf(slow, 30))
	victim := m.p.Command(t.Context(), "snapshot-create-as", m.Name(), "victim", "--hold", "--quiesce", "require")
	s.run(append([]string{"systemd-run", "--unit=nightly", "--collect", "--setenv=PATH=" + m.p.ToolDir + ":" + os.Getenv("PATH"), "--"}, victim.Args...)...)
	m.await(m.frozen, true, 60*time.Second)
	if units := s.run("systemctl", "list-units", "--plain", "--no-legend", "domsnap-guardian-*.scope"); strings.Count(units, "running") != 1 {
		t.Errorf("the guardian's scope: %q", units)
	}
	s.run("systemctl", "kill", "--signal=KILL", "nightly.service")
	start := time.Now()
	m.await(m.frozen, false, 5*time.Second)
	t.Logf("the guest went on after %d ms", time.Since(start).Milliseconds())
	m.recover()
}

// systemd is a process 1 of a process namespace of its own.
type systemd struct {
	t   *testing.T
	pid string
}

// units are all that it needs to get up.
const units = `mount --make-rprivate /
mount -t tmpfs tmpfs /etc/systemd/system && mount -t tmpfs tmpfs /usr/lib/systemd/system-generators && mount -t tmpfs tmpfs /usr/lib/systemd/system
for u in default basic sysinit shutdown umount final sockets timers paths slices local-fs swap; do
	printf '[Unit]\nDescription=%s\n' $u >/usr/lib/systemd/system/$u.target
done
container=lab exec /usr/lib/systemd/systemd --system --log-target=null`

func bootSystemd(t *testing.T) *systemd {
	t.Helper()
	cmd := exec.Command("unshare", "--pid", "--fork", "--kill-child=KILL", "--mount", "--mount-proc", "--cgroup", "sh", "-c", units)
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		check(t, os.RemoveAll("/run/systemd/system"))
	})
	s := &systemd{t: t}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		pid, _ := exec.Command("pgrep", "--parent", fmt.Sprint(cmd.Process.Pid)).Output()
		s.pid = strings.TrimSpace(string(pid))
		state, _ := s.command("systemctl", "is-system-running").Output()
		if strings.TrimSpace(string(state)) == "running" {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("systemd is %q", state)
		}
	}
}

func (s *systemd) command(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--target", s.pid, "--pid", "--mount", "--cgroup", "--"}, args...)...)
}

// run runs what has to succeed among systemd's processes.
func (s *systemd) run(args ...string) string {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}
