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

	"github.com/domsnap/domsnap/integration/lab"
)

// TestFaults lets one guest live through everything that can go wrong with a snapshot. After each it runs, and nothing
// is left.
func TestFaults(t *testing.T) {
	m := startMachine(t, five())
	for _, fault := range []struct {
		name string
		run  func(*machine)
	}{
		{"no agent", (*machine).requireWithoutAgent},
		{"volume group full", (*machine).groupFull},
		{"store vanishes in the window", (*machine).storeVanishes},
		{"pool gone", (*machine).poolGone},
		{"image refuses in the window", (*machine).imageRefuses},
		{"busy", (*machine).busy},
		{"killed while frozen", func(m *machine) { m.killed(m.frozen, "try") }},
		{"killed beside a tool", (*machine).killedBesideATool},
		{"killed while paused", func(m *machine) { m.killed(m.paused, "no") }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			before := objects(t)
			sub := *m
			sub.t, sub.p = t, newProgram(t)
			fault.run(&sub)
			sub.checkAsBefore(before)
		})
	}
}

// requireWithoutAgent: no agent, no snapshot, nothing made.
func (m *machine) requireWithoutAgent() {
	check(m.t, m.StopAgent(m.t.Context()))
	m.p.fails(5, "snapshot-create-as", m.Name(), "s1", "--quiesce", "require")
	check(m.t, m.StartAgent(m.t.Context()))
}

// checkAsBefore: the guest runs and writes, and nothing is left of a snapshot that failed.
func (m *machine) checkAsBefore(before string) {
	m.t.Helper()
	if m.frozen() {
		m.t.Error("the guest is frozen")
	}
	if list := m.p.list(m.Name()); len(list) > 0 {
		m.t.Errorf("there are snapshots: %+v", list)
	}
	if now := objects(m.t); now != before {
		m.t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
}

// groupFull: the room for a COW volume goes after the plan.
func (m *machine) groupFull() {
	m.p.shim("lvcreate", `lvs vg0/filler >/dev/null 2>&1 || $REAL -an -Zn -l 100%FREE -n filler vg0 >/dev/null 2>&1
exec $REAL "$@"`)
	m.p.fails(1, "snapshot-create-as", m.Name(), "s1", "--quiesce", "require")
	tool(m.t, "lvremove", "-f", "vg0/filler")
}

// storeVanishes: a storage fails while the guest is held, and what the others have taken by then is undone.
func (m *machine) storeVanishes() {
	m.p.shim("lvconvert", `for store; do :; done
lvremove -q -f "$store" >/dev/null
exec $REAL "$@"`)
	message := m.p.fails(1, "snapshot-create-as", m.Name(), "s1", "--quiesce", "require")
	if !strings.Contains(message, "take vdb") {
		m.t.Errorf("it did not fail in the window: %s", message)
	}
}

// poolGone: the rbd pool goes after the plan. A connection that is still open to it would not notice its other name.
func (m *machine) poolGone() {
	m.p.shim("lvcreate", `ceph osd pool rename rbd gone >/dev/null 2>&1
sleep 6
exec $REAL "$@"`)
	m.p.fails(1, "snapshot-create-as", m.Name(), "s1", "--quiesce", "require")
	tool(m.t, "ceph", "osd", "pool", "rename", "gone", "rbd")
}

// imageRefuses: Ceph fails while the guest is held, since somebody else takes the snapshot's name first.
func (m *machine) imageRefuses() {
	m.p.shim("qemu-img", `case "$1" in create)
rbd snap create --no-progress "$(grep -oh 'rbd/[^"]*@ds-[a-z0-9-]*' `+m.p.StateDir+`/journal/*)" >/dev/null 2>&1;; esac
exec $REAL "$@"`)
	message := m.p.fails(1, "snapshot-create-as", m.Name(), "s1", "--quiesce", "require")
	if !strings.Contains(message, "take vde") {
		m.t.Errorf("it did not fail in the window: %s", message)
	}
}

// TestBadInput: what is wrong is named, by its code and its place.
func TestBadInput(t *testing.T) {
	m := lab.NewTestDomain(t, lab.Options{Disks: []lab.Disk{{Kind: lab.QcowFile}, {Kind: lab.EmptyCDROM}}})
	p := newProgram(t)
	file := filepath.Join(t.TempDir(), "descriptor.xml")
	write := func(text string) { check(t, os.WriteFile(file, []byte(text), 0o600)) }

	write("<domainsnapshot>\n  <disks>\n    <disk name='vda'><diskSnapshot method='lvm'><siz percent='20'/></diskSnapshot></disk>\n  </disks>\n</domainsnapshot>")
	message := p.fails(2, "snapshot-create", m.Name(), file)
	for _, want := range []string{"line 3", "column", "/domainsnapshot/disks/disk", "siz"} {
		if !strings.Contains(message, want) {
			t.Errorf("the message does not say %q: %s", want, message)
		}
	}
	write("<domainsnapshot><disks><disk name='vdz'/></disks></domainsnapshot>")
	p.fails(3, "snapshot-create", m.Name(), file)
	write("<domainsnapshot><disks><disk name='sdb'/></disks></domainsnapshot>")
	p.fails(2, "snapshot-create", m.Name(), file)
	p.fails(3, "snapshot-list", "no-such-domain")
	p.fails(3, "snapshot-info", m.Name(), "no-such-snapshot")
	p.fails(2, "snapshot-create-as", m.Name(), "../escape")
	p.fails(6, "snapshot-create-as", m.Name(), "s1", "--diskspec", "vda,method=lvm")
	p.create(m.Name(), "s1")
	p.fails(6, "snapshot-create-as", m.Name(), "s1")
	p.fails(3, "disk-revert", m.Name(), "vdz", "s1")
	p.fails(3, "snapshot-source", m.Name(), "s1", "--disk", "vdz")
	p.delete(m.Name(), "s1")
}

// slow holds the guest for a while: the thick volume's tool takes its time.
const slow = `sleep %d
exec $REAL "$@"`

// busy: a second call answers at once.
func (m *machine) busy() {
	m.p.shim("lvconvert", fmt.Sprintf(slow, 6))
	first := m.p.Command(m.t.Context(), "snapshot-create-as", m.Name(), "first")
	check(m.t, first.Start())
	m.await(guarded, true, 20*time.Second)
	r, start := m.p.run("snapshot-create-as", m.Name(), "second"), m.p.run("snapshot-list", m.Name())
	// What it does before it waits for the lock, on a machine that is as slow as this one is now.
	if r.Code != 4 || r.Took > 2*time.Second+4*start.Took {
		m.t.Errorf("exit %d after %s, where a list takes %s: %s", r.Code, r.Took, start.Took, r.Stdout)
	}
	check(m.t, first.Wait())
	m.deleteEverything()
}

// guarded says that a guardian watches over a snapshot.
func guarded() bool { return exec.Command("pgrep", "-f", "^domsnap-guardian").Run() == nil }

// killed: when the program is killed while it holds the guest, the guest goes on by itself within five seconds, any
// other verb says that there is unfinished work, and recover leaves nothing of it.
func (m *machine) killed(held func() bool, policy string) {
	m.p.shim("lvconvert", fmt.Sprintf(slow, 20))
	victim := m.p.Command(m.t.Context(), "snapshot-create-as", m.Name(), "victim", "--hold", "--quiesce", policy)
	victim.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(m.t, victim.Start())
	m.await(held, true, 30*time.Second)
	check(m.t, syscall.Kill(-victim.Process.Pid, syscall.SIGKILL))
	start := time.Now()
	m.await(held, false, 5*time.Second)
	m.t.Logf("the guest went on after %d ms", time.Since(start).Milliseconds())
	_ = victim.Wait()
	m.recover()
}

// killedBesideATool: what the killed one had begun goes on, and nobody else begins before it has ended.
func (m *machine) killedBesideATool() {
	m.p.shim("lvcreate", fmt.Sprintf(slow, 6))
	victim := m.p.Command(m.t.Context(), "snapshot-create-as", m.Name(), "victim")
	check(m.t, victim.Start())
	m.await(func() bool { return len(pids("^sleep 6$")) > 0 }, true, 30*time.Second)
	check(m.t, victim.Process.Kill())
	_ = victim.Wait()
	m.await(guarded, false, 5*time.Second)
	m.p.fails(4, "recover", m.Name())
	m.recover()
}

func (m *machine) recover() {
	m.t.Helper()
	m.await(guarded, false, 5*time.Second)
	m.await(m.p.atWork, false, leftAtWork)
	m.p.ToolDir = ""
	m.p.fails(7, "snapshot-create-as", m.Name(), "next")
	var recovered struct{ Domains []struct{ Did []string } }
	for _, want := range []int{1, 0} {
		m.p.must(&recovered, "recover", m.Name())
		if len(recovered.Domains) != want {
			m.t.Errorf("recover: %+v, want %d domains", recovered, want)
		}
	}
}

func (m *machine) await(held func() bool, want bool, most time.Duration) {
	m.t.Helper()
	for end := time.Now().Add(most); held() != want; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			state := tool(m.t, "virsh", "domstate", "--reason", m.Name())
			m.t.Fatalf("after %s the guest is not as it should be (held: %v): %s", most, want, state)
		}
	}
}

func (m *machine) paused() bool {
	m.t.Helper()
	return strings.Contains(tool(m.t, "virsh", "domstate", m.Name()), "paused")
}
