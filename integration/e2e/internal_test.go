//go:build lab

package e2e

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// TestInternal takes snapshots inside the images of a running guest and of one that is off, and goes back to both.
func TestInternal(t *testing.T) {
	m := &insideMachine{machine: startMachine(t, small(lab.QcowFile, lab.QcowFile))}
	blocks := m.blocks()
	m.fill(1)
	m.snapshot("s1", "filesystem")
	m.fill(2)
	m.snapshot("s2", "filesystem")
	want := m.guestSums()
	m.fill(3)
	scribbled := m.guestSums()
	m.wantInside(2)
	m.p.delete(m.Name(), "s1")
	m.wantInside(1)
	if now := m.guestSums(); now != scribbled {
		t.Errorf("the delete changed the disks:\n%s\nwant\n%s", now, scribbled)
	}
	m.p.fails(6, "snapshot-revert", m.Name(), "s2")
	r := m.p.revert(m.Name(), "s2", "--force")
	check(t, m.WaitAgent(lab.BootTimeout))
	if now := m.guestSums(); now != want {
		t.Errorf("after the revert:\n%s\nwant\n%s", now, want)
	}
	for _, d := range r.Disks {
		if d.How != "native" || !d.InPlace {
			t.Errorf("%+v", d)
		}
	}
	m.off()
	m.backAndForthOff(r)
	if now := m.blocks(); now != blocks {
		t.Errorf("the disks are\n%s\nwere\n%s", now, blocks)
	}
	m.deleteAllInside()
}

// insideMachine is a machine whose snapshots are inside its images.
type insideMachine struct {
	*machine
}

func (m *insideMachine) snapshot(name, level string) {
	m.t.Helper()
	var options []string
	for _, target := range m.targets {
		options = append(options, "--diskspec", target+",method=qemu,mode=internal")
	}
	s := m.p.create(m.Name(), name, options...)
	m.t.Logf("%s: frozen for %d ms", name, s.Consistency.FrozenMS)
	if s.Consistency.Level != level || len(s.Disks) != len(m.targets) {
		m.t.Errorf("%s: %+v", name, s)
	}
	for _, d := range s.Disks {
		if d.Mode != "internal" || d.Ref != "ds-"+s.ID+"-"+d.Target || d.ModifiedDisk != nil {
			m.t.Errorf("%s: %+v", name, d)
		}
	}
}

// backAndForthOff goes to the safety snapshot of the revert and back to what there was.
func (m *insideMachine) backAndForthOff(r orchestrator.RevertResult) {
	m.t.Helper()
	present := m.diskSums()
	m.snapshot("s3", "offline")
	m.p.revert(m.Name(), *r.Safety, "--no-safety")
	if now := m.diskSums(); maps.Equal(now, present) {
		m.t.Error("the revert to the safety snapshot changed nothing")
	}
	for range 2 {
		m.p.revert(m.Name(), "s3", "--no-safety")
		if now := m.diskSums(); !maps.Equal(now, present) {
			m.t.Errorf("after the revert to s3: %v, want %v", now, present)
		}
	}
}

// inside is what a disk's image holds.
func (m *insideMachine) inside(target string) []string {
	m.t.Helper()
	var info struct {
		Snapshots []struct{ Name string }
	}
	path := m.file(target)
	check(m.t, json.Unmarshal([]byte(tool(m.t, "qemu-img", "info", "--output=json", "-U", "-f", "qcow2", path)), &info))
	var names []string
	for _, s := range info.Snapshots {
		names = append(names, s.Name)
	}
	return names
}

func (m *insideMachine) file(target string) string {
	m.t.Helper()
	for line := range strings.Lines(m.blocks()) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == target {
			return words[1]
		}
	}
	m.t.Fatalf("there is no disk %s", target)
	return ""
}

func (m *insideMachine) wantInside(n int) {
	m.t.Helper()
	for _, target := range m.targets {
		if names := m.inside(target); len(names) != n {
			m.t.Errorf("%s holds %v, want %d", target, names, n)
		}
	}
}

func (m *insideMachine) deleteAllInside() {
	m.t.Helper()
	for _, s := range m.p.list(m.Name()) {
		m.p.delete(m.Name(), s.Name)
	}
	m.wantInside(0)
	for _, target := range m.targets {
		tool(m.t, "qemu-img", "check", "-f", "qcow2", m.file(target))
	}
}
