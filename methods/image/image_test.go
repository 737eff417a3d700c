package image_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

const size = 3 << 20

// run runs one of QEMU's tools, which building the project installs.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("run %s %q: %v\n%s", name, args, err, out)
	}
}

// disks are an empty image of each format.
func disks(t *testing.T) map[string]methods.Disk {
	t.Helper()
	made := map[string]methods.Disk{}
	for _, format := range []string{"raw", "qcow2"} {
		path := filepath.Join(t.TempDir(), "a disk, named \"{:}\"."+format)
		run(t, "qemu-img", "create", "-q", "-f", format, path, "3M")
		made[format] = methods.Disk{Target: "vda", Format: format, Source: methods.Source{File: path}}
	}
	return made
}

func opened(t *testing.T, d methods.Disk) methods.Writable {
	t.Helper()
	w, err := image.Access{}.OpenDisk(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func imageOf(d methods.Disk) image.Image { return image.Image{Source: d.Source, Format: d.Format} }

func TestWhatIsWrittenIsRead(t *testing.T) {
	for format, d := range disks(t) {
		t.Run(format, func(t *testing.T) {
			w := opened(t, d)
			if w.Size() != size {
				t.Errorf("the disk has %d bytes", w.Size())
			}
			want := bytes.Repeat([]byte("domsnap "), 64<<10)
			if _, err := w.WriteAt(want, 1<<20-7); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(w.Sync(), w.Close()); err != nil {
				t.Fatal(err)
			}
			r, err := image.Open(t.Context(), imageOf(d))
			if err != nil {
				t.Fatal(err)
			}
			wantRead(t, r, want, 1<<20-7)
			wantRead(t, r, make([]byte, 4096), 0)
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func wantRead(t *testing.T, r io.ReaderAt, want []byte, off int64) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := r.ReadAt(got, off); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes at %d are not what was written: %v", len(want), off, err)
	}
}

func TestTheEndIsTheEnd(t *testing.T) {
	for format, d := range disks(t) {
		t.Run(format, func(t *testing.T) {
			w := opened(t, d)
			defer w.Close()
			if n, err := w.ReadAt(make([]byte, 10), size-4); n != 4 || !errors.Is(err, io.EOF) {
				t.Errorf("a read over the end gave %d bytes, %v", n, err)
			}
			if n, err := w.ReadAt(make([]byte, 10), size); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("a read at the end gave %d bytes, %v", n, err)
			}
		})
	}
}

func TestReadsSideBySide(t *testing.T) {
	d := disks(t)["qcow2"]
	w := opened(t, d)
	defer w.Close()
	for i := range 3 {
		if _, err := w.WriteAt(bytes.Repeat([]byte{byte(i + 1)}, 1<<20), int64(i)<<20); err != nil {
			t.Fatal(err)
		}
	}
	var wait sync.WaitGroup
	for i := range 12 {
		wait.Go(func() { wantRead(t, w, bytes.Repeat([]byte{byte(i%3 + 1)}, 1<<20), int64(i%3)<<20) })
	}
	wait.Wait()
}

func TestInternalSnapshotIsRead(t *testing.T) {
	d := disks(t)["qcow2"]
	path := d.Source.File
	run(t, "qemu-io", "-f", "qcow2", "-c", "write -q -P 1 0 64k", path)
	run(t, "qemu-img", "snapshot", "-c", "one", path)
	run(t, "qemu-io", "-f", "qcow2", "-c", "write -q -P 2 0 64k", path)
	r, err := image.Open(t.Context(), image.Image{Source: d.Source, Format: "qcow2", Snapshot: "one"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	wantRead(t, r, bytes.Repeat([]byte{1}, 64<<10), 0)
}

func TestReadingLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	d := disks(t)["qcow2"]
	before, err := os.ReadFile(d.Source.File)
	if err != nil {
		t.Fatal(err)
	}
	r, err := image.Open(t.Context(), imageOf(d))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(d.Source.File); err != nil || !bytes.Equal(before, after) {
		t.Errorf("reading changed the image: %v", err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	good := disks(t)["qcow2"]
	active := good
	active.Domain.Active = true
	garbage := good
	garbage.Source.File = filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage.Source.File, []byte("QFI\xfb no more"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		disk methods.Disk
		want error
	}{
		{"a running domain", active, methods.ErrBlocked},
		{"no file", methods.Disk{Format: "qcow2", Source: methods.Source{File: "/nowhere"}}, methods.ErrNotFound},
		{"no raw file", methods.Disk{Format: "raw", Source: methods.Source{File: "/nowhere"}}, methods.ErrNotFound},
		{"no format", methods.Disk{Source: good.Source}, methods.ErrUnsupported},
		{"a protocol nobody knows", methods.Disk{Format: "raw", Source: methods.Source{Network: &methods.NetworkSource{Protocol: "gopher"}}}, methods.ErrUnsupported},
		{"a secret", methods.Disk{Format: "raw", Source: methods.Source{Network: &methods.NetworkSource{Protocol: "nbd", Secured: true}}}, methods.ErrUnsupported},
		{"garbage", garbage, nil},
	} {
		_, err := image.Access{}.OpenDisk(t.Context(), c.disk)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestDiskThatIsInUseIsBlocked(t *testing.T) {
	d := disks(t)["qcow2"]
	w := opened(t, d)
	defer w.Close()
	if _, err := (image.Access{}).OpenDisk(t.Context(), d); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("opened twice: %v", err)
	}
	r, err := image.Open(t.Context(), imageOf(d))
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
}

// TestNetworkDisk is a disk on another NBD server, as a domain may have one.
func TestNetworkDisk(t *testing.T) {
	d := disks(t)["qcow2"]
	socket := filepath.Join(t.TempDir(), "socket")
	far := exec.Command("qemu-nbd", "--socket="+socket, "-f", "qcow2", "-x", "the export", "-t", d.Source.File)
	if err := far.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = far.Process.Kill(), far.Wait() })
	disk := methods.Disk{Target: "vdb", Format: "raw", Source: methods.Source{
		Network: &methods.NetworkSource{Protocol: "nbd", Name: "the export", Socket: socket},
	}}
	var w methods.Writable
	var err error
	for range 200 {
		if w, err = (image.Access{}).OpenDisk(t.Context(), disk); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteAt([]byte("far away"), 4096); err != nil {
		t.Error(err)
	}
	wantRead(t, w, []byte("far away"), 4096)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
