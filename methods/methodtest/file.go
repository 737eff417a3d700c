package methodtest

import (
	"os"
	"path/filepath"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

// FileOptions are what ForFile needs to know.
type FileOptions struct {
	Method methods.Method
	// Dir is where disks are made, each in a directory of its own; a temporary one when it is empty.
	Dir string
	// Spec is the body of <diskSnapshot> that plans are made with.
	Spec methods.Spec
	// Disks opens the disks; image.Access when it is nil.
	Disks methods.Disks
	// Objects is that of the Fixture.
	Objects func(t T, disk methods.Disk) []string
}

// ForFile makes fixtures for a method that snapshots raw files.
func ForFile(o FileOptions) func(t T) Fixture {
	if o.Disks == nil {
		o.Disks = image.Access{}
	}
	return func(t T) Fixture {
		dir := o.Dir
		if dir == "" {
			dir = t.TempDir()
		}
		return Fixture{
			Method: o.Method, Disks: o.Disks, Spec: o.Spec, Objects: o.Objects, Grow: growFile,
			NewDisk: func(t T, target string, content []byte) methods.Disk { return newFile(t, dir, target, content) },
		}
	}
}

func newFile(t T, dir, target string, content []byte) methods.Disk {
	t.Helper()
	own, err := os.MkdirTemp(dir, "disk")
	if err != nil {
		t.Fatalf("make a directory for disk %s: %v", target, err)
	}
	t.Cleanup(func() { removeAll(t, own) })
	path := filepath.Join(own, target+".raw")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatalf("make disk %s: %v", target, err)
	}
	disk := DiskOfNobody(target)
	disk.Source.File = path
	return disk
}

// DiskOfNobody is a raw disk, which has no source yet, of a domain that libvirt does not know.
func DiskOfNobody(target string) methods.Disk {
	return methods.Disk{
		Domain: methods.Domain{Name: "suite", UUID: "6f1d2c3b-0000-4000-8000-00000000000f"}, Target: target, Format: "raw",
	}
}

func removeAll(t T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Errorf("remove %s: %v", dir, err)
	}
}

func growFile(t T, disk methods.Disk) {
	t.Helper()
	info, err := os.Stat(disk.Source.File)
	if err == nil {
		err = os.Truncate(disk.Source.File, info.Size()+DefaultSize)
	}
	if err != nil {
		t.Fatalf("grow disk %s: %v", disk.Target, err)
	}
}
