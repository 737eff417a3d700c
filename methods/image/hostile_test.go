package image_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/methods/methodtest"
)

// soon is what opening any image may take.
const soon = 5 * time.Second

// TestHostileImages: nothing of the canary is read, and nobody waits long.
func TestHostileImages(t *testing.T) {
	canary := methodtest.NewCanary(t, 1<<20)
	for _, h := range methodtest.HostileImages(t, canary) {
		t.Run(h.Name, func(t *testing.T) {
			start := time.Now()
			for _, open := range []func() (methods.Content, error){
				func() (methods.Content, error) { return image.Open(t.Context(), imageOf(h.Disk)) },
				func() (methods.Content, error) { return image.Access{}.OpenDisk(t.Context(), h.Disk) },
			} {
				c, err := open()
				if err == nil {
					wantNoCanary(t, c)
					continue
				}
				if h.Disk.Format == "raw" {
					t.Errorf("a raw disk is opened as it is, and not %v", err)
				}
			}
			if took := time.Since(start); took > soon {
				t.Errorf("it took %v", took)
			}
		})
	}
	canary.Check()
}

func wantNoCanary(t *testing.T, c methods.Content) {
	t.Helper()
	defer c.Close()
	head, err := io.ReadAll(io.NewSectionReader(c, 0, min(c.Size(), 4<<20)))
	if err != nil && c.Size() < 1<<40 {
		t.Error(err)
	}
	if bytes.Contains(head, []byte(methodtest.CanaryText)) {
		t.Error("it reads the canary")
	}
}

// TestHeaderThatChangesIsNotFollowed: the name that was made of a chain opens that chain, and not what a header says by
// the time it is opened.
func TestHeaderThatChangesIsNotFollowed(t *testing.T) {
	canary, dir := methodtest.NewCanary(t, 1<<20), t.TempDir()
	base, top := filepath.Join(dir, "base"), filepath.Join(dir, "top")
	run(t, "qemu-img", "create", "-q", "-f", "raw", base, "1M")
	run(t, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, top)
	name, err := image.Image{Source: methods.Source{File: top}, Format: "qcow2"}.QEMUName(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", canary.Path, top)
	out := filepath.Join(dir, "out")
	run(t, "qemu-img", "convert", "-O", "raw", name, out)
	if content, err := os.ReadFile(out); err != nil || bytes.Contains(content, []byte(methodtest.CanaryText)) {
		t.Errorf("it reads the canary: %v", err)
	}
}

// TestChainIsRead, all of it: absolute and relative names.
func TestChainIsRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	run(t, "qemu-img", "create", "-q", "-f", "raw", at("base"), "3M")
	run(t, "qemu-io", "-f", "raw", "-c", "write -q -P 1 0 64k", at("base"))
	run(t, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base", at("middle"))
	run(t, "qemu-io", "-f", "qcow2", "-c", "write -q -P 2 64k 64k", at("middle"))
	run(t, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", at("middle"), at("top"))
	r, err := image.Open(t.Context(), image.Image{Source: methods.Source{File: at("top")}, Format: "qcow2"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	wantRead(t, r, append(bytes.Repeat([]byte{1}, 64<<10), bytes.Repeat([]byte{2}, 64<<10)...), 0)
}

// TestSocketIsNobodyElses: the door of the server is in a directory that only its owner may enter.
func TestSocketIsNobodyElses(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, dir := range []string{os.Getenv("TMPDIR"), filepath.Dir(os.Getenv("TMPDIR"))} {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	r, err := image.Open(t.Context(), imageOf(disks(t)["qcow2"]))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	found, err := filepath.Glob(os.Getenv("TMPDIR") + "/*/*")
	if err != nil || len(found) != 1 {
		t.Fatalf("the sockets are %q, %v", found, err)
	}
	info, err := os.Stat(filepath.Dir(found[0]))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("their directory has mode %v, %v", info.Mode(), err)
	}
	if os.Geteuid() == 0 {
		wantRefused(t, found[0])
	}
}

// wantRefused looks for the socket as nobody, who gets as far as its directory.
func wantRefused(t *testing.T, socket string) {
	t.Helper()
	for path, want := range map[string]bool{filepath.Dir(socket): true, socket: false} {
		cmd := exec.Command("/bin/ls", "-d", path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); (err == nil) != want {
			t.Errorf("nobody looks at %s: %s", path, out)
		}
	}
}
