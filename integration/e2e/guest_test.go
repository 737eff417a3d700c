//go:build lab

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// machine is a domain under test.
type machine struct {
	*lab.Domain
	t       *testing.T
	p       *program
	targets []string
}

// newMachine is one that is off.
func newMachine(t *testing.T, disks []lab.Disk) *machine {
	t.Helper()
	return newMachineOf(t, lab.Options{Disks: disks})
}

func newMachineOf(t *testing.T, opts lab.Options) *machine {
	t.Helper()
	d := lab.NewTestDomain(t, opts)
	return newProgram(t).machine(d, len(opts.Disks))
}

// machine is one of those that the program works on.
func (p *program) machine(d *lab.Domain, disks int) *machine {
	m := &machine{Domain: d, t: p.t, p: p}
	for i := range disks {
		m.targets = append(m.targets, fmt.Sprintf("vd%c", 'a'+i))
	}
	return m
}

// startMachine is one that runs, and its agent answers.
func startMachine(t *testing.T, disks []lab.Disk) *machine {
	t.Helper()
	m := newMachine(t, disks)
	m.on()
	return m
}

// fill writes the same new content to every disk, from inside.
func (m *machine) fill(seed uint64) {
	m.t.Helper()
	for _, target := range m.targets {
		check(m.t, m.Fill(context.Background(), "/mnt/"+target+"/data", seed, 2<<20))
	}
}

// guestSums are the checksums of that content as the guest sees it.
func (m *machine) guestSums() string {
	m.t.Helper()
	var sums []string
	for _, target := range m.targets {
		sum, err := m.Sum(context.Background(), "/mnt/"+target+"/data")
		check(m.t, err)
		sums = append(sums, target+" "+sum)
	}
	return strings.Join(sums, "\n")
}

// diskSums are the checksums of whole disks; the domain is off.
func (m *machine) diskSums() map[string]string {
	m.t.Helper()
	sums := map[string]string{}
	for _, target := range m.targets {
		sum, err := m.Checksum(context.Background(), target)
		check(m.t, err)
		sums[target] = sum
	}
	return sums
}

// sourceSums are the checksums of a snapshot's backup sources.
func (m *machine) sourceSums(name string) map[string]string {
	m.t.Helper()
	var disks []orchestrator.SnapshotDisk
	m.p.must(&disks, "snapshot-source", m.Name(), name)
	sums := map[string]string{}
	for _, d := range disks {
		sums[d.Target] = sumOf(m.t, d)
	}
	return sums
}

// sumOf reads a backup source as anybody would: through qemu-img, by its URI and format.
func sumOf(t *testing.T, d orchestrator.SnapshotDisk) string {
	t.Helper()
	return strings.Fields(onRaw(t, d, "sha256sum"))[0]
}

// onRaw is what a tool says of the content of a backup source, the last of its arguments. That is a file as long as the tool
// runs: what a lab writes is in its memory.
func onRaw(t *testing.T, d orchestrator.SnapshotDisk, name string, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "raw")
	defer os.Remove(out)
	rawCopy(t, d, out)
	return tool(t, name, append(args, out)...)
}

func rawCopy(t *testing.T, d orchestrator.SnapshotDisk, out string) {
	t.Helper()
	if _, err := os.Stat(d.BackupSource.URI); err != nil && strings.HasPrefix(d.BackupSource.URI, "/dev/") {
		tool(t, "lvchange", "-ay", "-K", d.Ref)
		defer tool(t, "lvchange", "-an", d.Ref)
	}
	if d.Mode == "internal" {
		// Nobody but QEMU's tools can read what is inside an image.
		tool(t, "qemu-img", "convert", "-U", "-l", d.Ref, "-f", "qcow2", "-O", "raw", d.Source, out)
		return
	}
	tool(t, "qemu-img", "convert", "-U", "-f", d.BackupSource.Format, "-O", "raw", d.BackupSource.URI, out)
}

// blocks is what virsh says of the disks.
func (m *machine) blocks() string {
	m.t.Helper()
	return tool(m.t, "virsh", "domblklist", m.Name())
}

// off stops the guest after it has written everything out.
func (m *machine) off() {
	m.t.Helper()
	_, err := m.Exec(context.Background(), "sync")
	check(m.t, err)
	check(m.t, m.Stop())
}

func (m *machine) on() {
	m.t.Helper()
	check(m.t, m.Start())
	check(m.t, m.WaitAgent(lab.BootTimeout))
}

// objects is everything in the storages that snapshots are made of.
func objects(t *testing.T) string {
	t.Helper()
	var all []string
	all = append(all, tool(t, "sh", "-c", "find /var/lib/libvirt/images /var/lib/lab -name '*ds-s*' | sort"))
	all = append(all, tool(t, "sh", "-c", "lvs --noheadings -o lv_name | grep ds- || true"))
	all = append(all, tool(t, "sh", "-c", "for i in $(rbd ls); do rbd snap ls $i; done"))
	return strings.TrimSpace(strings.Join(all, ""))
}

// frozen asks the guest itself, past the agent.
func (m *machine) frozen() bool {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_, err := m.Control(ctx, "for d in /mnt/*; do echo x > $d/alive && sync $d/alive || exit 1; done")
	return err != nil
}
