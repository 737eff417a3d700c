//go:build lab

package suite

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/methodtest"
)

// layersOf are the images of an external chain that the disk does not write to.
func layersOf(t methodtest.T, disk methods.Disk) []string {
	t.Helper()
	stem, _, _ := strings.Cut(disk.Source.File, ".")
	return slices.DeleteFunc(glob(t, stem+".*"), func(name string) bool { return name == filepath.Base(disk.Source.File) })
}

// copiesOf are the files beside the disk.
func copiesOf(t methodtest.T, disk methods.Disk) []string {
	t.Helper()
	return glob(t, filepath.Join(filepath.Dir(disk.Source.File), "*ds-*-"+disk.Target+"*"))
}

// storedOf is what the store beside the disk has.
func storedOf(t methodtest.T, disk methods.Disk) []string {
	t.Helper()
	return glob(t, filepath.Join(filepath.Dir(disk.Source.File), ".domsnap", "*-"+disk.Target+"*"))
}

func glob(t methodtest.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatalf("list %s: %v", pattern, err)
	}
	for i, path := range found {
		found[i] = filepath.Base(path)
	}
	return found
}

// insideOf are the snapshots inside an image.
func insideOf(t methodtest.T, disk methods.Disk) []string {
	t.Helper()
	var info struct{ Snapshots []named }
	ask(t, &info, "qemu-img", "info", "--output=json", "-f", disk.Format, disk.Source.File)
	return names(info.Snapshots)
}

// snapsOf are the snapshots of an rbd image.
func snapsOf(t methodtest.T, disk methods.Disk) []string {
	t.Helper()
	var snaps []named
	ask(t, &snaps, "rbd", "snap", "ls", "--format=json", disk.Source.RBD.Pool+"/"+disk.Source.RBD.Image)
	return names(snaps)
}

// volumesOf are the logical volumes that no domain has, and that are named for the disk.
func volumesOf(t methodtest.T, disk methods.Disk) []string {
	t.Helper()
	out, err := lab.Command(context.WithoutCancel(t.Context()), "lvs", "--noheadings", "-o", "lv_name", "vg0")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return slices.DeleteFunc(strings.Fields(out), func(name string) bool {
		return strings.HasPrefix(name, "lab") || !strings.Contains(name, "-"+disk.Target)
	})
}

type named struct{ Name string }

func names(all []named) []string {
	var found []string
	for _, one := range all {
		found = append(found, one.Name)
	}
	return found
}

// ask runs a program that answers in JSON.
func ask(t methodtest.T, into any, program string, args ...string) {
	t.Helper()
	out, err := lab.Command(context.WithoutCancel(t.Context()), program, args...)
	if err == nil {
		err = json.Unmarshal([]byte(out), into)
	}
	if err != nil {
		t.Fatalf("ask %s: %v", program, err)
	}
}
