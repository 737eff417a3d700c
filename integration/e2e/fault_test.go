//go:build lab

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestRequireWithoutAgent: no agent, no snapshot, nothing made.
func TestRequireWithoutAgent(t *testing.T) {
	before := objects(t)
	m := startMachine(t, []lab.Disk{{Kind: lab.QcowFile}, {Kind: lab.ThinLV}})
	check(t, m.StopAgent(context.Background()))
	m.p.fails(5, "snapshot-create-as", m.Name(), "s1", "--quiesce", "require")
	check(t, m.StartAgent(context.Background()))
	m.checkAsBefore(before)
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

// TestVolumeGroupFull: the room for a COW volume goes while the guest is held. Everything else that was taken is
// undone.
func TestVolumeGroupFull(t *testing.T) {
	m := startMachine(t, five())
	before := objects(t)
	m.p.shim("lvcreate", `case "$*" in *--test*|*--setactivationskip*) exec $REAL "$@";; esac
$REAL -an -Zn -l 100%FREE -n filler vg0 >/dev/null 2>&1
exec $REAL "$@"`)
	m.p.fails(1, "snapshot-create-as", m.Name(), "s1", "--quiesce", "require")
	tool(t, "lvremove", "-f", "vg0/filler")
	m.checkAsBefore(before)
}

// TestPoolGone: the rbd pool goes between the plan and the act.
func TestPoolGone(t *testing.T) {
	tool(t, "ceph", "config", "set", "mon", "mon_allow_pool_delete", "true")
	m := startMachine(t, []lab.Disk{{Kind: lab.QcowFile}, {Kind: lab.ThinLV}, {Kind: lab.BtrfsSubvol}, {Kind: lab.RBD}})
	before := objectsWithoutRBD(t)
	m.p.shim("qemu-img", `case "$*" in create*) ceph osd pool rename rbd gone >/dev/null 2>&1
ceph osd pool delete gone gone --yes-i-really-really-mean-it >/dev/null 2>&1;; esac
exec $REAL "$@"`)
	m.p.fails(1, "snapshot-create-as", m.Name(), "s1", "--quiesce", "require")
	if now := objectsWithoutRBD(t); now != before {
		t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
	if list := m.p.list(m.Name()); len(list) > 0 {
		t.Errorf("there are snapshots: %+v", list)
	}
	tool(t, "ceph", "osd", "pool", "create", "rbd", "8")
	tool(t, "rbd", "pool", "init", "rbd")
}

func objectsWithoutRBD(t *testing.T) string {
	t.Helper()
	return tool(t, "sh", "-c", "find /var/lib/libvirt/images /var/lib/lab -name '*ds-s*' | sort; lvs --noheadings -o lv_name | grep ds- || true")
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
const slow = `case "$*" in *--test*) ;; *) sleep 20;; esac
exec $REAL "$@"`

// TestBusy: a second call answers at once.
func TestBusy(t *testing.T) {
	m := startMachine(t, []lab.Disk{{Kind: lab.ThickLV}})
	m.p.shim("lvcreate", strings.Replace(slow, "20", "6", 1))
	first := m.p.Command(context.Background(), "snapshot-create-as", m.Name(), "first")
	check(t, first.Start())
	m.awaitGuardian()
	o := m.p.run("snapshot-create-as", m.Name(), "second")
	if o.Code != 4 || o.Took > 2*time.Second {
		t.Errorf("exit %d after %s: %s", o.Code, o.Took, o.Stdout)
	}
	check(t, first.Wait())
	m.deleteEverything()
}

// awaitGuardian waits until a snapshot is about to hold the guest.
func (m *machine) awaitGuardian() {
	m.t.Helper()
	for range 200 {
		if _, err := lab.Command(context.Background(), "pgrep", "-f", "^domsnap-guardian"); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	m.t.Fatal("no guardian was started")
}

// TestKilledInWindow: when the program is killed while it holds the guest, the guest goes on by itself within five
// seconds, and recover leaves nothing behind.
func TestKilledInWindow(t *testing.T) {
	before := objects(t)
	m := startMachine(t, []lab.Disk{{Kind: lab.QcowFile}, {Kind: lab.ThickLV}, {Kind: lab.ThinLV}})
	m.p.shim("lvcreate", slow)
	t.Run("frozen", func(t *testing.T) { m.kill(m.frozen, "try") })
	t.Run("paused", func(t *testing.T) { m.kill(m.paused, "no") })
	m.p.fails(7, "snapshot-create-as", m.Name(), "next")
	m.p.ToolDir = ""
	var recovered struct{ Domains []struct{ Did []string } }
	m.p.must(&recovered, "recover", m.Name())
	if len(recovered.Domains) != 1 {
		t.Errorf("recover: %+v", recovered)
	}
	m.p.must(&recovered, "recover", m.Name())
	if len(recovered.Domains) != 0 {
		t.Errorf("a second recover: %+v", recovered)
	}
	m.checkAsBefore(before)
}

// kill starts a snapshot, kills it once the guest is held, and waits for the guest.
func (m *machine) kill(held func() bool, policy string) {
	m.t.Helper()
	if m.p.ToolDir == "" {
		m.t.Fatal("nothing makes the window long")
	}
	os.Remove(filepath.Join(m.p.StateDir, "journal", m.uuid()+".json"))
	victim := m.p.Command(context.Background(), "snapshot-create-as", m.Name(), "victim", "--quiesce", policy)
	victim.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(m.t, victim.Start())
	m.await(held, true, 20*time.Second)
	check(m.t, syscall.Kill(-victim.Process.Pid, syscall.SIGKILL))
	start := time.Now()
	m.await(held, false, 5*time.Second)
	m.t.Logf("the guest went on after %d ms", time.Since(start).Milliseconds())
	_ = victim.Wait()
}

func (m *machine) await(held func() bool, want bool, most time.Duration) {
	m.t.Helper()
	for end := time.Now().Add(most); held() != want; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("after %s the guest is not as it should be (held: %v)", most, want)
		}
	}
}

func (m *machine) paused() bool {
	m.t.Helper()
	return strings.Contains(tool(m.t, "virsh", "domstate", m.Name()), "paused")
}

func (m *machine) uuid() string {
	m.t.Helper()
	return strings.TrimSpace(tool(m.t, "virsh", "domuuid", m.Name()))
}
