package shield_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/orchestrator/shield"
)

// TestOverlayIsEmptied: where everything is read from below it nothing is in it, whatever has been; and only then.
func TestOverlayIsEmptied(t *testing.T) {
	f, o := newFolder(t)
	for name, write := range map[string]string{
		"data": "write -q -P 7 64k 4k", "zeros": "write -q -z 0 64k", "at the end": "write -q -P 9 1020k 4k",
	} {
		want(t, f, o, false)
		qemuIO(t, o.File, write)
		want(t, f, o, true)
		if err := f.Empty([]shield.Overlay{o}); err != nil {
			t.Fatal(err)
		}
		want(t, f, o, false)
		if out := qemuIO(t, o.File, "read -P 1 0 1M"); strings.Contains(out, "failed") {
			t.Errorf("%s: what is below is not read: %s", name, out)
		}
		tool(t, "qemu-img", "check", "-q", "-r", "leaks", "-f", "qcow2", o.File)
	}
}

// TestOverlayIsCommittedAndEmptied, so that nobody who finds it commits it again over what was written since.
func TestOverlayIsCommittedAndEmptied(t *testing.T) {
	f, o := newFolder(t)
	qemuIO(t, o.File, "write -q -P 7 64k 4k")
	for range 2 {
		if err := f.Commit(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		want(t, f, o, false)
	}
	if raw, err := os.ReadFile(o.Disk.Source.Path()); err != nil || raw[64<<10] != 7 || raw[0] != 1 {
		t.Errorf("the disk has %v, %v", raw[64<<10:64<<10+4], err)
	}
}

// TestNothingIsLeftOfOverlays: neither of one that libvirt knows, whose definition is what counts, nor of the anchor.
func TestNothingIsLeftOfOverlays(t *testing.T) {
	f, o := newFolder(t)
	qemuIO(t, o.File, "write -q -P 7 64k 4k")
	if err := f.Known(o); err != nil {
		t.Fatal(err)
	}
	want(t, f, o, false)
	anchor, err := f.MakeAnchor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info := tool(t, "qemu-img", "info", "-f", shield.AnchorFormat, anchor); !strings.Contains(info, "vpc") {
		t.Error(info)
	}
	for range 2 {
		if err := f.Remove([]shield.Overlay{o}); err != nil {
			t.Error(err)
		}
		if err := f.RemoveAnchor(); err != nil {
			t.Error(err)
		}
	}
	want(t, f, o, false)
	if left, err := filepath.Glob(filepath.Join(f.Dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left are %q, %v", left, err)
	}
}

// newFolder has an overlay of a disk that is full of ones.
func newFolder(t *testing.T) (shield.Folder, shield.Overlay) {
	t.Helper()
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	if err := os.WriteFile(base, []byte(strings.Repeat("\x01", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	f := shield.Folder{Dir: filepath.Join(dir, "shield", "uuid"), Run: command.Host{}}
	o := shield.Overlay{
		Disk: methods.Disk{Target: "vda", Format: "raw", Source: methods.Source{File: base}},
		File: filepath.Join(f.Dir, "ds-sone-vda.qcow2"), Node: "ds-sone-vda", Size: 1 << 20,
	}
	if err := f.Make(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return f, o
}

func want(t *testing.T, f shield.Folder, o shield.Overlay, written bool) {
	t.Helper()
	if is, err := f.Written(o); err != nil || is != written {
		t.Fatalf("written: %v, %v", is, err)
	}
}

func qemuIO(t *testing.T, file, command string) string {
	t.Helper()
	return tool(t, "qemu-io", "-f", "qcow2", "-c", command, file)
}

func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}
