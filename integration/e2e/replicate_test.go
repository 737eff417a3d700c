//go:build lab

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// replicator is a domain that is off, with snapshots whose content is known.
type replicator struct {
	*machine
	sums map[string]map[string]string
	// dir is a directory of replicas, to the target that names it.
	dir, to string
}

// onePercent is what changes from one snapshot to the next: about 1 % of a disk, as qemu-io writes it.
const (
	onePercent      = "5M 512k"
	onePercentBytes = 512 << 10
)

// TestReplicate: whatever the storage, a snapshot gets to another place, where it is the same.
func TestReplicate(t *testing.T) {
	before := objects(t)
	disks := five()
	for i := range disks {
		disks[i].FS = lab.NoFS
	}
	r := &replicator{machine: newMachine(t, disks), sums: map[string]map[string]string{}, dir: t.TempDir()}
	r.to = "file:" + r.dir
	r.snapshots()
	t.Run("full", func(t *testing.T) { r.part(t).full() })
	t.Run("changed", func(t *testing.T) { r.part(t).changed() })
	t.Run("killed", func(t *testing.T) { r.part(t).killed() })
	t.Run("base stays", func(t *testing.T) { r.part(t).baseStays() })
	t.Run("used", func(t *testing.T) { r.part(t).used() })
	t.Run("ssh", func(t *testing.T) { r.part(t).ssh() })
	r.deleteEverything()
	if now := objects(t); now != before {
		t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
}

func (r *replicator) part(t *testing.T) *replicator {
	sub, m, p := *r, *r.machine, *r.p
	p.t, m.t, m.p = t, t, &p
	sub.machine = &m
	return &sub
}

func (r *replicator) snapshots() {
	r.t.Helper()
	for i, name := range []string{"one", "two", "three"} {
		places := []string{onePercent}
		if i == 0 {
			places = []string{"0 16M", "40M 1M"}
		}
		for _, target := range r.targets {
			check(r.t, r.Scribble(r.t.Context(), target, byte(i+1), places...))
		}
		r.p.create(r.Name(), name)
		r.sums[name] = r.sourceSums(name)
	}
}

func (r *replicator) replicate(name, to string, options ...string) orchestrator.Replicated {
	r.t.Helper()
	var done orchestrator.Replicated
	r.p.must(&done, append([]string{"snapshot-replicate", r.Name(), name, "--to", to}, options...)...)
	r.t.Logf("%s: %d bytes moved in %d ms: %+v", name, done.BytesMoved, done.TookMS, done.Disks)
	return done
}

// wantReplica reads every disk of a replica as a file of its own, and has it verified.
func (r *replicator) wantReplica(to, name string) {
	r.t.Helper()
	var m replica.Manifest
	r.p.must(&m, "replica-verify", to, r.Name(), name)
	if m.State != replica.Complete || len(m.Disks) != len(r.targets) || !strings.Contains(m.Descriptor, "<domainsnapshot") {
		r.t.Errorf("%+v", m)
	}
	for _, target := range r.targets {
		out := filepath.Join(r.t.TempDir(), target)
		var e struct{}
		r.p.must(&e, "replica-export", to, r.Name(), name, "--disk", target, "--file", out)
		if sum := strings.Fields(tool(r.t, "sha256sum", out))[0]; sum != r.sums[name][target] {
			r.t.Errorf("disk %s of the replica of %s holds %s, want %s", target, name, sum, r.sums[name][target])
		}
	}
}

func (r *replicator) full() {
	one := r.replicate("one", r.to)
	if one.Base != nil || one.BytesMoved != int64(len(r.targets))*17<<20 {
		r.t.Errorf("%+v", one)
	}
	r.wantReplica(r.to, "one")
	if again := r.replicate("one", r.to); !again.Already {
		r.t.Errorf("%+v", again)
	}
}

func (r *replicator) changed() {
	two := r.replicate("two", r.to)
	if two.Base == nil || *two.Base != "one" {
		r.t.Errorf("%+v", two)
	}
	for _, d := range two.Disks {
		if d.BytesMoved > onePercentBytes*6/5 || d.BytesMoved < onePercentBytes {
			r.t.Errorf("of %s %d bytes were moved, and %d have changed", d.Target, d.BytesMoved, onePercentBytes)
		}
		if d.How != methods.HowChangedExtents && d.How != methods.HowCompare {
			r.t.Errorf("%+v", d)
		}
	}
	r.wantReplica(r.to, "two")
	r.wantReplica(r.to, "one")
}

var someDone = regexp.MustCompile(`"done":[1-9]`)

// killed: what was killed half-way is inbound, keeps nothing from going, and goes on where it was.
func (r *replicator) killed() {
	dir := r.t.TempDir()
	to := "file:" + dir
	cmd := r.halfWay(dir, to)
	check(r.t, cmd.Process.Signal(syscall.SIGKILL))
	if err := cmd.Wait(); err == nil {
		r.t.Fatal("it was over before it could be killed")
	}
	r.goesOn(to)
	r.p.must(&struct{}{}, "replica-forget", r.Name(), "--to", to)
}

// halfWay is a replication of which the first disk is done.
func (r *replicator) halfWay(dir, to string) *exec.Cmd {
	r.t.Helper()
	cmd := r.p.Command(r.t.Context(), "snapshot-replicate", r.Name(), "one", "--to", to)
	cmd.Stderr = r.t.Output()
	id := r.named("one").ID
	check(r.t, cmd.Start())
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		found, _ := filepath.Glob(filepath.Join(dir, "*", id, "manifest.json"))
		if len(found) == 0 {
			continue
		}
		if text, _ := os.ReadFile(found[0]); someDone.Match(text) {
			break
		}
	}
	return cmd
}

// goesOn: what was cut is inbound, and becomes complete.
func (r *replicator) goesOn(to string) {
	r.t.Helper()
	var all []replica.Manifest
	r.p.must(&all, "replica-list", to, r.Name())
	if len(all) != 1 || all[0].State != replica.Inbound || all[0].Done() == 0 {
		r.t.Errorf("%+v", all)
	}
	r.p.fails(6, "replica-export", to, r.Name(), "one", "--disk", "vda", "--file", filepath.Join(r.t.TempDir(), "out"))
	one := r.replicate("one", to)
	if !one.Resumed || one.BytesMoved >= int64(len(r.targets))*17<<20 {
		r.t.Errorf("%+v", one)
	}
	r.wantReplica(to, "one")
}

// baseStays: what the next increment begins with stays until that has gone.
func (r *replicator) baseStays() {
	d := r.p.delete(r.Name(), "two")
	if len(d.PendingDelete) != 1 || !strings.Contains(d.PendingDelete[0].Because[0], "the next increment to "+r.to) {
		r.t.Errorf("%+v", d)
	}
	var pruned orchestrator.PruneResult
	r.p.must(&pruned, "snapshot-prune", r.Name(), "--keep-last", "9")
	if len(pruned.Deleted) != 0 {
		r.t.Errorf("%+v", pruned)
	}
	three := r.replicate("three", r.to)
	if *three.Base != "two" || len(three.Deleted) != 1 || three.BytesMoved > int64(len(r.targets))*onePercentBytes*6/5 {
		r.t.Errorf("%+v", three)
	}
	r.wantReplica(r.to, "three")
}

// used: a replica goes on to another place, where neighbours share what is the same, and goes, and the others stay.
func (r *replicator) used() {
	dir, err := os.MkdirTemp("/var/lib/lab/btrfs", "replicas")
	check(r.t, err)
	r.t.Cleanup(func() { check(r.t, os.RemoveAll(dir)) })
	other := "file:" + dir
	var copied struct {
		BytesMoved int64 `json:"bytes_moved"`
	}
	for _, name := range []string{"one", "three"} {
		r.p.must(&copied, "replica-copy", r.to, r.Name(), name, "--to", other)
		r.wantReplica(other, name)
	}
	if copied.BytesMoved > int64(len(r.targets))*onePercentBytes*6/5 {
		r.t.Errorf("%d bytes were moved", copied.BytesMoved)
	}
	data, err := filepath.Glob(filepath.Join(dir, "*", r.named("three").ID, "vda.img"))
	if err != nil || len(data) != 1 || !strings.Contains(tool(r.t, "filefrag", "-v", data[0]), "shared") {
		r.t.Errorf("%q shares nothing with its neighbour, %v", data, err)
	}
	var deleted orchestrator.DeleteResult
	r.p.must(&deleted, "replica-delete", r.to, r.Name(), "two")
	r.wantReplica(r.to, "one")
	r.wantReplica(r.to, "three")
	var pruned replica.Pruned
	r.p.must(&pruned, "replica-prune", r.to, r.Name(), "--keep-last", "1")
	if len(pruned.Kept) != 1 || len(pruned.Deleted) != 1 {
		r.t.Errorf("%+v", pruned)
	}
	r.wantReplica(r.to, "three")
}

// ssh: the same through an sshd, whose only command is the program's.
func (r *replicator) ssh() {
	dir := r.t.TempDir()
	to := r.p.sshd(sshd{dir: dir, address: "127.0.0.1"})
	cmd := r.halfWay(dir, to)
	for _, pid := range children(r.t, cmd.Process.Pid) {
		// One may have ended with the one before it.
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			r.t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err == nil {
		r.t.Fatal("it was over before its connection could be cut")
	}
	r.goesOn(to)
	r.wantReplica("file:"+dir, "one")
	three := r.replicate("three", to)
	if *three.Base != "one" || three.BytesMoved > int64(len(r.targets))*onePercentBytes*6/5 {
		r.t.Errorf("%+v", three)
	}
	r.wantReplica(to, "three")
	if said := r.p.fails(1, "replica-list", to+"-other"); !strings.Contains(said, "and not in") {
		r.t.Errorf("it said %s", said)
	}
	r.p.must(&struct{}{}, "replica-forget", r.Name(), "--to", to)
	r.p.must(&struct{}{}, "replica-forget", r.Name(), "--to", r.to)
}

// children are the processes that a process has started.
func children(t *testing.T, pid int) (pids []int) {
	t.Helper()
	for _, word := range strings.Fields(tool(t, "pgrep", "-P", strconv.Itoa(pid))) {
		child, err := strconv.Atoi(word)
		check(t, err)
		pids = append(pids, child)
	}
	return pids
}
