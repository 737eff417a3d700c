//go:build lab

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

const backupPool = "replicas"

// TestReplicateToRBD: the same in a Ceph pool, where a replica is a snapshot of an image for each disk.
func TestReplicateToRBD(t *testing.T) {
	disks := small(lab.QcowFile, lab.ThinLV, lab.RBD)
	for i := range disks {
		disks[i].FS = lab.NoFS
	}
	r := &replicator{machine: newMachine(t, disks), sums: map[string]map[string]string{}, to: "rbd:" + backupPool}
	tool(t, "lab-ceph-wait")
	tool(t, "sh", "-c", "ceph osd pool create $0 8 && rbd pool init $0 && rbd namespace create $0/drill", backupPool)
	t.Cleanup(func() { tool(t, "ceph", "osd", "pool", "rm", backupPool, backupPool, "--yes-i-really-really-mean-it") })
	r.snapshots()
	t.Run("full", func(t *testing.T) { r.part(t).full() })
	t.Run("changed", func(t *testing.T) { r.part(t).changed() })
	t.Run("killed", func(t *testing.T) { r.part(t).killedInPool() })
	t.Run("head used", func(t *testing.T) { r.part(t).headUsed() })
	t.Run("copied", func(t *testing.T) { r.part(t).copiedOutOfPool() })
	t.Run("damaged", func(t *testing.T) { r.part(t).damagedInPool() })
	t.Run("removed", func(t *testing.T) { r.part(t).removedFromPool() })
	r.deleteEverything()
}

// killedAt kills a replication at a point of it.
func (r *replicator) killedAt(point, name, to string) {
	r.t.Helper()
	p := failing(r.t, r.p.StateDir)
	p.Env = []string{"DOMSNAP_AT=" + point, "DOMSNAP_THEN=kill -9 $PPID"}
	done, err := p.Run(r.t.Context(), "snapshot-replicate", r.Name(), name, "--to", to)
	if err == nil && done.Code == 0 {
		r.t.Fatalf("it was over before it could be killed %s", point)
	}
}

// killedInPool: who is killed anywhere leaves what is complete as it was, and the same call goes on, in a namespace as well.
func (r *replicator) killedInPool() {
	to := "rbd:" + backupPool + "/drill:conf=/etc/ceph/ceph.conf"
	r.killedAt("after write a replica's manifest#3", "one", to)
	r.goesOn(to)
	for _, point := range []string{"after write a replica's chunks#1", "before sync a replica's disk#2", "after snapshot a replica's image#2"} {
		r.killedAt(point, "two", to)
		r.wantReplica(to, "one")
	}
	if two := r.replicate("two", to); *two.Base != "one" {
		r.t.Errorf("%+v", two)
	}
	r.wantReplica(to, "two")
	r.wantReplica(to, "one")
	r.headRolledBack(to)
	for _, name := range []string{"three", "one", "two"} {
		r.p.must(&struct{}{}, "replica-delete", to, r.Name(), name)
	}
	if left := tool(r.t, "rbd", "ls", backupPool+"/drill"); left != "" {
		r.t.Errorf("there are still %s", left)
	}
	r.p.must(&struct{}{}, "replica-forget", r.Name(), "--to", to)
}

func (r *replicator) image(target string) string { return "domsnap." + r.uuid() + "." + target }

func (r *replicator) uuid() string { return r.named("one").DomainUUID }

// headRolledBack: somebody went back to an older replica by rbd; the next increment begins as the younger one.
func (r *replicator) headRolledBack(to string) {
	for _, target := range r.targets {
		tool(r.t, "rbd", "snap", "rollback", "--no-progress", fmt.Sprintf("%s/drill/%s@replica-%s", backupPool, r.image(target), r.named("one").ID))
	}
	r.wantThree(to)
}

func (r *replicator) wantThree(to string) {
	r.t.Helper()
	three := r.replicate("three", to)
	if *three.Base != "two" || three.BytesMoved > int64(len(r.targets))*onePercentBytes*6/5 {
		r.t.Errorf("%+v", three)
	}
	for _, name := range []string{"one", "two", "three"} {
		r.wantReplica(to, name)
	}
}

// headUsed: somebody started a guest from the image, so to say. As long as that has it open nothing is written.
func (r *replicator) headUsed() {
	for _, target := range r.targets {
		tool(r.t, "qemu-io", "-f", "raw", "-c", "write -q -P 99 30M 1M", "rbd:"+backupPool+"/"+r.image(target))
	}
	r.wantThree(r.to)
}

// copiedOutOfPool: a replica goes on to a directory, and back into a pool, where it is the same.
func (r *replicator) copiedOutOfPool() {
	dir := "file:" + r.t.TempDir()
	var copied struct {
		BytesMoved int64 `json:"bytes_moved"`
	}
	for _, name := range []string{"one", "two"} {
		r.p.must(&copied, "replica-copy", r.to, r.Name(), name, "--to", dir)
		r.wantReplica(dir, name)
	}
	if copied.BytesMoved > int64(len(r.targets))*onePercentBytes*6/5 {
		r.t.Errorf("%d bytes were moved", copied.BytesMoved)
	}
	back := "rbd:" + backupPool + "/drill"
	r.p.must(&copied, "replica-copy", dir, r.Name(), "two", "--to", back)
	r.wantReplica(back, "two")
	r.p.must(&struct{}{}, "replica-delete", back, r.Name(), "two")
}

// damagedInPool: a byte that turned over in the storage itself is found. There it is in the object that the youngest replica
// shares with the head.
func (r *replicator) damagedInPool() {
	var info struct {
		Prefix string `json:"block_name_prefix"`
	}
	target := r.targets[len(r.targets)-1]
	check(r.t, json.Unmarshal([]byte(tool(r.t, "rbd", "info", "--format", "json", backupPool+"/"+r.image(target))), &info))
	object, file := info.Prefix+".0000000000000001", filepath.Join(r.t.TempDir(), "object")
	tool(r.t, "rados", "-p", backupPool, "get", object, file)
	content, err := os.ReadFile(file)
	check(r.t, err)
	damaged := bytes.Clone(content)
	damaged[len(damaged)/2] ^= 1
	for _, put := range []struct {
		content []byte
		code    int
	}{{damaged, 6}, {content, 0}} {
		check(r.t, os.WriteFile(file, put.content, 0o600))
		tool(r.t, "rados", "-p", backupPool, "put", object, file)
		if done := r.p.run("replica-verify", r.to, r.Name(), "three"); done.Code != put.code {
			r.t.Errorf("exit %d, want %d: %s", done.Code, put.code, done.Stdout)
		}
	}
}

// removedFromPool: one in the middle goes, and one by the rules; the others stay, and a clone keeps its own.
func (r *replicator) removedFromPool() {
	var deleted orchestrator.DeleteResult
	r.p.must(&deleted, "replica-delete", r.to, r.Name(), "two")
	r.wantReplica(r.to, "one")
	r.wantReplica(r.to, "three")
	snap := fmt.Sprintf("%s/%s@replica-%s", backupPool, r.image("vda"), r.named("three").ID)
	tool(r.t, "rbd", "clone", "--rbd-default-clone-format", "2", snap, backupPool+"/drilled")
	if said := r.p.fails(6, "replica-delete", r.to, r.Name(), "three"); !strings.Contains(said, "drilled") {
		r.t.Errorf("it said %s", said)
	}
	r.wantReplica(r.to, "three")
	tool(r.t, "rbd", "rm", "--no-progress", backupPool+"/drilled")
	var pruned replica.Pruned
	r.p.must(&pruned, "replica-prune", r.to, r.Name(), "--keep-last", "1")
	if len(pruned.Kept) != 1 || len(pruned.Deleted) != 1 {
		r.t.Errorf("%+v", pruned)
	}
	r.wantReplica(r.to, "three")
	r.p.must(&deleted, "replica-delete", r.to, r.Name(), "three")
	if left := tool(r.t, "rbd", "ls", backupPool); left != "" {
		r.t.Errorf("there are still %s", left)
	}
	r.p.must(&struct{}{}, "replica-forget", r.Name(), "--to", r.to)
}
