//go:build lab

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
)

// copied says that the second disk is copied; that the last is follows from what it is.
const copied = "vdb,method=copy"

// TestCopy: disks that are copied show the same instant as the others, go back in place, and leave nothing.
func TestCopy(t *testing.T) {
	before := objects(t)
	w := &walker{
		machine: startMachine(t, small(lab.QcowFile, lab.RawFile, lab.ThinLV, lab.NBD)),
		sums:    map[string]map[string]string{},
	}
	w.checkCopyIsPlanned()
	_, err := w.Control(t.Context(), fmt.Sprintf(writer, strings.Join(w.targets, " ")))
	check(t, err)
	w.checkInstant("frozen0", "filesystem", "--diskspec", copied, "--hold")
	w.checkInstant("frozen1", "filesystem", "--diskspec", copied, "--shield")
	w.checkInstant("paused", "crash", "--diskspec", copied, "--quiesce", "no", "--hold")
	_, err = w.Control(t.Context(), "kill $(cat /run/writer.pid)")
	check(t, err)
	w.fill(1)
	s := w.p.create(w.Name(), "s1", "--diskspec", copied, "--quiesce", "require")
	w.t.Logf("s1: frozen for %d ms", s.Consistency.FrozenMS)
	w.remember(s)
	w.checkSparse(s)
	w.fill(2)
	w.off()
	w.revertTo("s1")
	w.revertCopied("frozen1")
	w.checkOff()
	w.deleteEverything()
	w.checkNoCopies(before)
}

// checkCopyIsPlanned: a disk that no method knows is copied, and the plan says so.
func (w *walker) checkCopyIsPlanned() {
	w.t.Helper()
	var plan orchestrator.Plan
	w.p.must(&plan, "snapshot-create-as", w.Name(), "plan", "--dry-run", "--diskspec", copied)
	for _, d := range plan.Disks {
		if (d.Target == "vdb" || d.Target == "vdd") != (d.Method == "copy") || d.Method == "copy" && d.Revert != methods.HowCompare {
			w.t.Errorf("%+v", d)
		}
		if d.Target == "vdd" && !strings.Contains(d.Why, "copied in full") {
			w.t.Errorf("%+v", d)
		}
	}
}

// checkSparse: what the guest never wrote takes no room.
func (w *walker) checkSparse(s orchestrator.Snapshot) {
	w.t.Helper()
	for _, d := range s.Disks {
		if d.Method != "copy" {
			continue
		}
		info, err := os.Stat(d.Ref)
		check(w.t, err)
		st, _ := info.Sys().(*syscall.Stat_t)
		w.t.Logf("%s: %d bytes take %d", d.Ref, info.Size(), st.Blocks*512)
		if st.Blocks*512 > info.Size()/2 || st.Uid != 0 || info.Mode().Perm() != 0o600 {
			w.t.Errorf("%s: %d blocks, user %d, mode %s", d.Ref, st.Blocks, st.Uid, info.Mode())
		}
	}
}

// revertCopied reverts the copied disks by themselves.
func (w *walker) revertCopied(name string) {
	w.t.Helper()
	want := w.sourceSums(name)
	for _, target := range []string{"vdb", "vdd"} {
		var r orchestrator.RevertResult
		w.p.must(&r, "disk-revert", w.Name(), target, name, "--no-safety", "--verify")
		if len(r.Disks) != 1 || !r.Disks[0].InPlace || r.Disks[0].How != methods.HowCompare || r.Disks[0].BytesWritten == 0 {
			w.t.Errorf("%+v", r)
		}
		if sum, err := w.Checksum(w.t.Context(), target); err != nil || sum != want[target] {
			w.t.Errorf("after the revert of %s to %s: %s, want %s: %v", target, name, sum, want[target], err)
		}
	}
}

// checkOff copies while the domain is off.
func (w *walker) checkOff() {
	w.t.Helper()
	present := w.diskSums()
	s := w.p.create(w.Name(), "off", "--diskspec", copied)
	w.checkSparse(s)
	for target, sum := range w.sourceSums("off") {
		if sum != present[target] {
			w.t.Errorf("%s of a domain that is off: %s, want %s", target, sum, present[target])
		}
	}
}

func (w *walker) checkNoCopies(before string) {
	w.t.Helper()
	if now := objects(w.t); now != before {
		w.t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
	w.checkNoStores()
}

func (m *machine) checkNoStores() {
	m.t.Helper()
	for _, dir := range []string{filepath.Join(m.p.StateDir, "copies"), "/var/lib/libvirt/images/.domsnap-copies"} {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			m.t.Errorf("%s is left: %v", dir, err)
		}
	}
}

// TestCopyInterrupted: whatever ends a copy half-way, libvirt's job and its files do not stay.
func TestCopyInterrupted(t *testing.T) {
	m := &machine{t: t, p: newProgram(t), Domain: lab.NewTestDomain(t, lab.Options{
		Disks: []lab.Disk{{Kind: lab.RawFile, Size: 1 << 30, FS: lab.NoFS}},
	})}
	tool(t, "sh", "-c", "yes domsnap | head -c 900M | dd bs=1M conv=notrunc of="+m.Source("vda")+" 2>/dev/null")
	// Nothing has to boot for that.
	check(t, m.Libvirt().CreateWithFlags(libvirt.DOMAIN_START_PAUSED))
	t.Run("killed", func(t *testing.T) { m.in(t).copyKilled() })
	t.Run("told to stop", func(t *testing.T) { m.in(t).copyStopped() })
	t.Run("foreign job", func(t *testing.T) { m.in(t).foreignJob() })
	t.Run("destroyed", func(t *testing.T) { m.in(t).guestDestroyed() })
}

// in is the machine in a part of a test.
func (m *machine) in(t *testing.T) *machine {
	sub := *m
	sub.t, sub.p = t, newProgram(t)
	return &sub
}

// copying begins a snapshot and sends the signal when libvirt's job is at work.
func (m *machine) copying(signal syscall.Signal) (int, time.Duration) {
	m.t.Helper()
	cmd := m.p.Command(m.t.Context(), "snapshot-create-as", m.Name(), "s1", "--diskspec", "vda,method=copy")
	check(m.t, cmd.Start())
	for end := time.Now().Add(20 * time.Second); !m.backupRuns(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatal("no backup job began")
		}
	}
	start := time.Now()
	if signal != 0 {
		check(m.t, cmd.Process.Signal(signal))
	} else {
		check(m.t, m.Libvirt().Destroy())
	}
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), time.Since(start)
}

func (m *machine) backupRuns() bool {
	_, err := m.Libvirt().BackupGetXMLDesc(0)
	return err == nil
}

func (m *machine) copyKilled() {
	m.copying(syscall.SIGKILL)
	if !m.backupRuns() {
		m.t.Error("the job ended with the program: nothing is tested")
	}
	if partial, _ := filepath.Glob("/var/lib/libvirt/images/.domsnap-copies/*/*.partial"); len(partial) != 1 {
		m.t.Errorf("there is %v", partial)
	}
	var recovered struct{ Domains []struct{ Did []string } }
	m.p.must(&recovered, "recover", m.Name())
	if len(recovered.Domains) != 1 {
		m.t.Errorf("%+v", recovered)
	}
	m.checkNothingCopied()
}

func (m *machine) copyStopped() {
	code, took := m.copying(syscall.SIGTERM)
	if code == 0 || took > time.Minute {
		m.t.Errorf("exit %d after %s", code, took)
	}
	m.checkNothingCopied()
}

// foreignJob is somebody else's backup, which must not be touched.
func (m *machine) foreignJob() {
	file := "/var/lib/libvirt/images/foreign.qcow2"
	request := "<domainbackup><disks><disk name='vda' type='file'><target file='" + file + "'/></disk></disks></domainbackup>"
	check(m.t, m.Libvirt().BackupBegin(request, "", 0))
	defer os.Remove(file)
	message := m.p.fails(6, "snapshot-create-as", m.Name(), "s1", "--diskspec", "vda,method=copy")
	if !strings.Contains(message, "backup") || !m.backupRuns() {
		m.t.Errorf("it said %s; the job runs: %v", message, m.backupRuns())
	}
	check(m.t, m.Libvirt().AbortJob())
	for end := time.Now().Add(10 * time.Second); m.backupRuns() && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	m.checkNothingCopied()
}

// guestDestroyed: QEMU goes, and the job with it.
func (m *machine) guestDestroyed() {
	if code, _ := m.copying(0); code == 0 {
		m.t.Error("half a copy was taken for a snapshot")
	}
	m.checkNothingCopied()
}

func (m *machine) checkNothingCopied() {
	m.t.Helper()
	if m.backupRuns() {
		m.t.Error("the backup job goes on")
	}
	if list := m.p.list(m.Name()); len(list) > 0 {
		m.t.Errorf("there are snapshots: %+v", list)
	}
	m.checkNoStores()
}
