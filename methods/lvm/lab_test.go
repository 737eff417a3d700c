//go:build lab

package lvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

const (
	labDomain = "c7a5fdbd-edaf-9455-926a-d65c16db1809"
	labSize   = 32 << 20
)

// labDisk makes a volume in vg0 and removes it, and whatever hangs on it, after the test. A volume that a
// test left behind by name is a failure.
func labDisk(t *testing.T, thin bool) methods.Disk {
	t.Helper()
	volume := fmt.Sprintf("d-%x", time.Now().UnixNano())
	args := []string{"-q", "-y", "-n", volume, "--addtag", "admin"}
	if thin {
		args = append(args, "-V", "32m", "--thinpool", "pool0", "vg0")
	} else {
		args = append(args, "-L", "32m", "vg0")
	}
	labRun(t, "lvcreate", args...)
	t.Cleanup(func() {
		labRun(t, "lvremove", "-qfy", "vg0/"+volume)
		if left := labRun(t, "lvs", "--noheadings", "-o", "lv_name", "-S", `lv_name=~"^ds-"`, "vg0"); strings.TrimSpace(left) != "" {
			t.Errorf("left behind: %s", left)
		}
		labNodes(t)
	})
	return methods.Disk{Domain: methods.Domain{Name: "lab", UUID: labDomain}, Target: "vda", Source: methods.Source{Dev: "/dev/vg0/" + volume}, Format: "raw"}
}

func labRun(t *testing.T, tool string, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", tool, args, err, out)
	}
	return string(out)
}

// labNodes checks that udev and device-mapper agree: each node in /dev/mapper is a link, and leads to a device
// of that name.
func labNodes(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir("/dev/mapper")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "control" {
			continue
		}
		link, err := os.Readlink("/dev/mapper/" + e.Name())
		if err != nil {
			t.Errorf("/dev/mapper/%s is not udev's link: %v", e.Name(), err)
			continue
		}
		got, err := os.ReadFile("/sys/class/block/" + strings.TrimPrefix(link, "../") + "/dm/name")
		if err != nil || strings.TrimSpace(string(got)) != e.Name() {
			t.Errorf("/dev/mapper/%s leads to %q: %v", e.Name(), got, err)
		}
	}
}

func labWrite(t *testing.T, disk methods.Disk, fill byte, offset, length int64) {
	t.Helper()
	f, err := os.OpenFile(disk.Source.Dev, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{fill}, int(length)), offset); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func labRead(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), unix.BLKFLSBUF, 0); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// labContent reads a snapshot, which it activates for that if it is thin.
func labContent(t *testing.T, m *Method, ref methods.Ref) []byte {
	t.Helper()
	src, err := m.Source(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if ref.Mode == modeThin {
		labRun(t, "lvchange", "-ay", "-K", ref.Name)
		defer labRun(t, "lvchange", "-an", ref.Name)
	}
	return labRead(t, src.URI)
}

func labPlan(t *testing.T, m *Method, disk methods.Disk, id string) methods.Ref {
	t.Helper()
	ref, err := m.Plan(t.Context(), methods.PlanRequest{Disk: disk, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// labTake takes a snapshot and drops it after the test.
func labTake(t *testing.T, m *Method, disk methods.Disk, id string) methods.Ref {
	t.Helper()
	ref := labPlan(t, m, disk, id)
	ready, err := m.Prepare(t.Context(), []methods.Ref{ref})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	start := time.Now()
	if err := ready.Take(t.Context()); err != nil {
		t.Fatalf("%+v", err)
	}
	t.Logf("take %s (%s): %d ms", ref.Name, ref.Mode, time.Since(start).Milliseconds())
	if err := ready.Close(t.Context()); err != nil {
		t.Fatalf("%+v", err)
	}
	labDropAfter(t, m, ref)
	return ref
}

func labDropAfter(t *testing.T, m *Method, ref methods.Ref) {
	t.Cleanup(func() {
		if err := m.Drop(context.Background(), methods.DropRequest{Ref: ref}); err != nil {
			t.Errorf("%+v", err)
		}
	})
}

func labRevert(t *testing.T, m *Method, req methods.RevertRequest) methods.Reverted {
	t.Helper()
	if err := m.CheckRevert(t.Context(), req); err != nil {
		t.Fatalf("%+v", err)
	}
	start := time.Now()
	done, err := m.Revert(t.Context(), req)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Logf("revert to %s (%s, %s): %d bytes, %d ms", req.To.Name, req.To.Mode, done.How, done.BytesWritten, time.Since(start).Milliseconds())
	return done
}

func eachMode(t *testing.T, check func(*testing.T, *Method, methods.Disk)) {
	for _, thin := range []bool{false, true} {
		t.Run(map[bool]string{false: modeThick, true: modeThin}[thin], func(t *testing.T) {
			check(t, New(command.Host{}), labDisk(t, thin))
		})
	}
}
