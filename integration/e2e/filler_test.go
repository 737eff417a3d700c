//go:build lab

package e2e

import (
	"errors"
	"os"
	"testing"
)

const images = "/var/lib/libvirt/images"

// definitions is where libvirt has its own.
const definitions = "/etc/libvirt/qemu"

// filler takes all that there is of something, and gives it back.
type filler struct {
	name       string
	fill, free func()
}

// fileIn reserves most of a file system, which costs the lab no memory, and writes the rest full.
func fileIn(t *testing.T, dir string) filler {
	const fill = `free=$(df --output=avail -B1 "$1" | tail -n 1)
fallocate -l $((free * 99 / 100)) "$1/filler"
cat /dev/zero >"$1/filler2" 2>/dev/null || sync`
	return filler{
		"no room, " + placeOf(dir),
		func() { tool(t, "sh", "-c", fill, "sh", dir) },
		func() { check(t, errors.Join(os.Remove(dir+"/filler"), os.Remove(dir+"/filler2"))) },
	}
}

// placeOf is what a directory is there for.
func placeOf(dir string) string {
	switch dir {
	case images:
		return "images"
	case definitions:
		return "definitions"
	default:
		return "state"
	}
}

// keepStateIn gives domsnap a state directory with little room, and for not many files.
func (x *torturer) keepStateIn(dir, size string) {
	x.t.Helper()
	tool(x.t, "mount", "-t", "tmpfs", "-o", "mode=711,nr_inodes=500,size="+size, "tmpfs", dir)
	x.t.Cleanup(func() { tool(x.t, "umount", dir) })
	x.p.StateDir, x.failing.StateDir = dir, dir
}
