//go:build lab

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// TestDeleteFindsWhatIsInItsWay: what one storage would refuse is known before another has lost its part of the snapshot.
func TestDeleteFindsWhatIsInItsWay(t *testing.T) {
	before := objects(t)
	d := &deletes{newMachine(t, blank(lab.QcowFile, lab.ThickLV, lab.ThinLV, lab.BtrfsSubvol, lab.RBD))}
	s1, s2 := d.p.create(d.Name(), "s1"), d.p.create(d.Name(), "s2")
	thick, thin, image := s1.Disks[1].Ref, s1.Disks[2].Ref, s1.Disks[4].Ref
	d.refused("a reader of the thick snapshot", "vdb", func() (clear func()) { return held(t, thick) })
	tool(t, "lvchange", "-ay", "-K", thin)
	d.refused("a reader of the thin snapshot", "vdc", func() (clear func()) { return held(t, thin) })
	tool(t, "lvchange", "-an", thin)
	d.refused("protection", "vde", func() (clear func()) {
		tool(t, "rbd", "snap", "protect", image)
		return func() { tool(t, "rbd", "snap", "unprotect", image) }
	})
	d.refused("a clone", "vde", func() (clear func()) { return cloned(t, image) })
	d.waits(image)
	if deleted := d.p.delete(d.Name(), s2.Name).Deleted; !slices.Equal(deleted, []string{"s2"}) {
		t.Errorf("deleted %q", deleted)
	}
	if now := objects(t); now != before {
		t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
}

// deletes is a machine with the snapshots s1 and s2, which derives from it.
type deletes struct{ *machine }

// refused sets something in the way of the drop of a disk of s1. Nothing is changed until it is gone.
func (d *deletes) refused(what, target string, set func() (clear func())) {
	d.t.Helper()
	clear := set()
	defer clear()
	before := d.everything()
	for _, options := range [][]string{nil, {"--children"}, {"--dry-run"}} {
		message := d.p.fails(6, append([]string{"snapshot-delete", d.Name(), "s1"}, options...)...)
		d.t.Logf("%s, %q: %s", what, options, message)
		if !strings.Contains(message, "disk "+target) {
			d.t.Errorf("%s, %q: %s", what, options, message)
		}
		if now := d.everything(); now != before {
			d.t.Errorf("%s, %q: there is\n%s\nbefore\n%s", what, options, now, before)
		}
	}
}

// everything is what the snapshots are, for us and for the storages, and what is unfinished.
func (d *deletes) everything() string {
	d.t.Helper()
	all, err := filepath.Glob(d.p.StateDir + "/journal/*")
	check(d.t, err)
	all = append(all, objects(d.t))
	for _, s := range d.p.list(d.Name()) {
		all = append(all, fmt.Sprintf("%s %s %t", s.Name, s.State, s.Current))
	}
	return strings.Join(all, "\n")
}

// waits: where nobody waits for an answer a snapshot with a clone goes when that has gone.
func (d *deletes) waits(image string) {
	d.t.Helper()
	clear := cloned(d.t, image)
	var pruned orchestrator.PruneResult
	d.p.must(&pruned, "snapshot-prune", d.Name(), "--keep-last", "1")
	if len(pruned.Deleted) > 0 || len(pruned.PendingDelete) != 1 {
		d.t.Errorf("pruned %+v", pruned)
	}
	d.t.Logf("waits: %q", pruned.PendingDelete)
	before := d.everything()
	var recovered struct{ Domains []orchestrator.Recovered }
	d.p.must(&recovered, "recover", d.Name())
	if now := d.everything(); now != before || len(recovered.Domains) > 0 {
		d.t.Errorf("recover did %+v", recovered)
	}
	clear()
	d.p.must(&recovered, "recover", d.Name())
	if left := d.p.list(d.Name()); len(left) != 1 || left[0].Name != "s2" {
		d.t.Errorf("recover did %+v and left %+v", recovered, left)
	}
}

// cloned makes an image of a snapshot, without protection.
func cloned(t *testing.T, snapshot string) (clear func()) {
	t.Helper()
	tool(t, "rbd", "clone", "--rbd-default-clone-format", "2", snapshot, "rbd/cloned")
	return func() { tool(t, "rbd", "rm", "--no-progress", "rbd/cloned") }
}

// held has a volume open.
func held(t *testing.T, volume string) (clear func()) {
	t.Helper()
	f, err := os.Open("/dev/" + volume)
	check(t, err)
	return func() { check(t, f.Close()) }
}

// TestDeleteOfARunningDomainFindsWhatIsInTheWayOfAMerge: QEMU does one thing at a time with a disk, and another program may
// have begun one; and what the guest has written may have no room in the image below.
func TestDeleteOfARunningDomainFindsWhatIsInTheWayOfAMerge(t *testing.T) {
	d := &deletes{startMachine(t, small(lab.ThinLV, lab.QcowFile))}
	d.p.create(d.Name(), "s1")
	copied := filepath.Join(images, "copied.qcow2")
	defer os.Remove(copied)
	d.refused("a copy by virsh", "vdb", func() (clear func()) {
		tool(t, "virsh", "blockcopy", d.Name(), "vdb", copied, "--transient-job", "--format", "qcow2", "--bandwidth", "1")
		return func() { tool(t, "virsh", "blockjob", d.Name(), "vdb", "--abort") }
	})
	check(t, d.Fill(t.Context(), "/mnt/vdb/more", 1, 8<<20))
	d.refused("a full file system", "vdb", func() (clear func()) {
		full := fileIn(t, images)
		// A guest that finds no room is paused too, but not by us.
		tool(t, "virsh", "suspend", d.Name())
		full.fill()
		return func() {
			full.free()
			tool(t, "virsh", "resume", d.Name())
		}
	})
	d.p.delete(d.Name(), "s1")
}
