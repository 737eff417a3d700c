//go:build lab

package e2e

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

// backup is a backup program with a repository of its own.
type backup struct {
	*machine
	name string
	env  []string
	// sums are the checksums of each snapshot's disks when it was made.
	sums map[string]map[string]string
	// restore is a shell's line that prints a disk of a snapshot: $1 is the domain, $2 the snapshot, $3 the target.
	restore string
	// count prints how many disks of a snapshot it has: $1 is the domain, $2 the snapshot.
	count string
}

// TestBackupPrograms: what restic and borg have by the recipes is the snapshot, whatever the guest does meanwhile and later.
func TestBackupPrograms(t *testing.T) {
	m := startMachine(t, small(lab.QcowFile, lab.ThinLV, lab.RBD))
	sums := map[string]map[string]string{}
	for i, name := range []string{"one", "two"} {
		m.fill(uint64(i + 1))
		m.p.create(m.Name(), name, "--quiesce", "require")
		sums[name] = m.sourceSums(name)
	}
	for _, b := range []*backup{m.restic(), m.borg()} {
		t.Run(b.name, func(t *testing.T) {
			p, sub := *m.p, *m
			p.t, sub.t, sub.p = t, t, &p
			b.machine, b.sums = &sub, sums
			b.all()
		})
	}
	m.off()
	m.deleteEverything()
}

func (b *backup) all() {
	b.must(b.recipe(b.Name(), "one"))
	b.wantCount("one", len(b.targets))
	b.fill(3)
	b.wantRestored("one", b.targets...)
	b.must(b.recipe(b.Name(), "two", "vdb"))
	b.wantRestored("two", "vdb")
	b.wantCount("two", 1)
	b.cut()
	b.must(b.recipe(b.Name(), "two"))
	b.wantRestored("two", b.targets...)
	if s := b.named("two"); len(s.Holds) > 0 {
		b.t.Errorf("held is %+v", s)
	}
}

func (m *machine) restic() *backup {
	m.t.Helper()
	dir := m.t.TempDir()
	env := []string{"RESTIC_REPOSITORY=" + dir + "/repository", "RESTIC_PASSWORD=secret", "RESTIC_CACHE_DIR=" + dir + "/cache"}
	b := &backup{
		machine: m, name: "restic", env: env,
		restore: `restic dump --tag "$2" --path "/$1.$3.raw" latest "/$1.$3.raw"`,
		count:   `restic snapshots --json --tag "$2" | jq --arg domain "/$1." '[.[].paths[] | select(startswith($domain) and endswith(".raw"))] | length'`,
	}
	b.must(b.shell("restic init --quiet"))
	return b
}

func (m *machine) borg() *backup {
	m.t.Helper()
	dir := m.t.TempDir()
	b := &backup{
		machine: m, name: "borg", env: []string{"BORG_REPO=" + dir + "/repository", "BORG_PASSPHRASE=secret", "BORG_BASE_DIR=" + dir},
		restore: `borg extract --stdout "::$1.$2.$3" "$3.raw"`,
		count:   `borg list --short --glob-archives "$1.$2.vd*" | wc -l`,
	}
	b.must(b.shell("borg init --encryption repokey"))
	return b
}

func (b *backup) recipe(args ...string) *exec.Cmd {
	return b.with(exec.CommandContext(b.t.Context(), "integration/recipes/"+b.name+"-backup", args...))
}

func (b *backup) shell(line string, args ...string) *exec.Cmd {
	return b.with(exec.CommandContext(b.t.Context(), "bash", append([]string{"-o", "pipefail", "-c", line, "bash"}, args...)...))
}

func (b *backup) with(cmd *exec.Cmd) *exec.Cmd {
	cmd.Stderr = b.t.Output()
	return b.p.script(cmd, b.env...)
}

func (b *backup) must(cmd *exec.Cmd) string {
	b.t.Helper()
	out, err := cmd.Output()
	b.t.Logf("%s", out)
	if err != nil {
		b.t.Fatalf("%s: %v", cmd, err)
	}
	return string(out)
}

// wantRestored: the disks of the backup are those of the snapshot, as QEMU's tools read them.
func (b *backup) wantRestored(name string, targets ...string) {
	b.t.Helper()
	for _, target := range targets {
		sum := b.must(b.shell(b.restore+" | sha256sum", b.Name(), name, target))
		if got := strings.Fields(sum)[0]; got != b.sums[name][target] {
			b.t.Errorf("%s has %s for disk %s of %s, want %s", b.name, got, target, name, b.sums[name][target])
		}
	}
}

func (b *backup) wantCount(name string, want int) {
	b.t.Helper()
	if got := strings.TrimSpace(b.must(b.shell(b.count, b.Name(), name))); got != strconv.Itoa(want) {
		b.t.Errorf("%s has %s disks of %s, want %d", b.name, got, name, want)
	}
}

// cut: of a disk that cannot be read to its end there is no backup, and nothing goes on being served.
func (b *backup) cut() {
	b.t.Helper()
	tools := b.p.ToolDir
	b.p.shim("nbdcopy", `"$REAL" "$@" | head -c 20000000; exit 1`)
	if out, err := b.recipe(b.Name(), "two", "vda").Output(); err == nil {
		b.t.Errorf("it went well: %s", out)
	}
	b.p.ToolDir = tools
	b.wantCount("two", 1)
	if left, _ := filepath.Glob("/tmp/tmp.*/disk"); len(left) > 0 {
		b.t.Errorf("left are %q", left)
	}
}
