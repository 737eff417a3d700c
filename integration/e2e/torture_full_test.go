//go:build lab && torture

package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestTortureFull fills, one after the other, everything that a snapshot of a running guest needs room in.
func TestTortureFull(t *testing.T) {
	before := objects(t)
	x := newTorturer(t, small(lab.QcowFile, lab.ThickLV, lab.BtrfsSubvol))
	x.keepStateIn(t.TempDir(), "128k")
	x.keepDefinitionsIn("256k")
	x.allocate("vda")
	x.boot()
	for _, dir := range []string{x.p.StateDir, images} {
		x.full(x.createsRunning(), 1, fileIn(t, dir))
	}
	// Libvirt shows a disk and a lineage that it could not write as if it had: a create is finished when there is room.
	x.full(x.createsRunning(), 7, fileIn(t, definitions))
	x.full(x.createsRunning(), 1, inodesIn(t, x.p.StateDir))
	x.full(x.createsRunning(), 6, volumeIn(t, "vg0"))
	x.full(x.deletesRunning(), 1, fileIn(t, definitions))
	x.end(before)
}

// TestTortureFullOff does that to verbs on a domain that is off. A delete that has begun goes on when there is room.
func TestTortureFullOff(t *testing.T) {
	before := objects(t)
	x := newTorturer(t, blank(lab.QcowFile, lab.ThickLV))
	x.keepStateIn(t.TempDir(), "128k")
	x.keepDefinitionsIn("256k")
	x.begin()
	for _, v := range []victim{x.creates(), x.reverts()} {
		x.full(v, 1, fileIn(t, x.p.StateDir))
		x.full(v, 1, inodesIn(t, x.p.StateDir))
		x.full(v, 6, volumeIn(t, "vg0"))
	}
	x.full(x.creates(), 7, fileIn(t, definitions))
	x.full(x.deletes(), 1, fileIn(t, definitions))
	x.present = x.fullDelete()
	x.end(before)
}

// allocate gives the image of a domain that is off all its clusters: QEMU stops a guest that writes to one for which there is
// no room, as the file system in it does by itself.
func (x *torturer) allocate(target string) {
	x.t.Helper()
	image := x.Source(target)
	tool(x.t, "qemu-img", "convert", "-q", "-S", "0", "-f", "qcow2", "-O", "qcow2", image, image+".full")
	check(x.t, os.Rename(image+".full", image))
}

// fullDelete deletes a snapshot when there is no room for what has to move, and gives the present content of the disks.
func (x *torturer) fullDelete() map[string]string {
	x.t.Helper()
	x.create("old")
	check(x.t, x.Scribble(x.t.Context(), x.targets[0], presently, "11M 2M"))
	now, f := x.diskSums(), fileIn(x.t, images)
	f.fill()
	x.t.Logf("delete: %s", x.p.fails(7, "snapshot-delete", x.Name(), "old"))
	f.free()
	x.recoverAll()
	x.checkObjects()
	x.checkPresent(now)
	if x.named("old") != nil {
		x.t.Error("the snapshot is there")
	}
	return now
}

// keepDefinitionsIn gives libvirt little room for what it knows of domains.
func (x *torturer) keepDefinitionsIn(size string) {
	x.t.Helper()
	kept := x.t.TempDir()
	tool(x.t, "cp", "-aT", definitions, kept)
	tool(x.t, "mount", "-t", "tmpfs", "-o", "mode=700,size="+size, "tmpfs", definitions)
	x.t.Cleanup(func() { tool(x.t, "umount", definitions) })
	tool(x.t, "cp", "-aT", kept, definitions)
}

// inodesIn makes all the files that there may be.
func inodesIn(t *testing.T, dir string) filler {
	many := filepath.Join(dir, "filler")
	return filler{
		"no inode, " + placeOf(dir),
		func() {
			err := os.Mkdir(many, 0o700)
			for n := 0; err == nil; n++ {
				err = os.WriteFile(filepath.Join(many, strconv.Itoa(n)), nil, 0o600)
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
		},
		func() { check(t, os.RemoveAll(many)) },
	}
}

func volumeIn(t *testing.T, group string) filler {
	return filler{
		"no room, " + group,
		func() { tool(t, "lvcreate", "-q", "-an", "-Zn", "-l", "100%FREE", "-n", "filler", group) },
		func() { tool(t, "lvremove", "-q", "-f", group+"/filler") },
	}
}

// full: without room the verb ends with this code and the guest is not held; with room again everything is in order. What
// libvirt only shows, since it could not write it, is gone by then.
func (x *torturer) full(v victim, code int, f filler) {
	x.t.Helper()
	start := time.Now()
	v.ready()
	f.fill()
	message := x.p.fails(code, v.args...)
	x.t.Logf("%s: %s", v.name, message)
	x.letGo()
	f.free()
	x.recoverAll()
	x.killDaemon()
	x.recover(v)
	v.ready()
	if r := x.p.run(v.args...); r.Code != 0 {
		x.t.Errorf("with room again: exit %d: %s", r.Code, r.Stdout)
	}
	v.check()
	if x.t.Failed() {
		x.t.Fatalf("%s: %s", v.name, f.name)
	}
	x.passed(way{v.name, f.name, 1}, 1, start)
}
