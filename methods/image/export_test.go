package image_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

// exportOf is an image in the disk's format with something in it.
func exportOf(t *testing.T, d methods.Disk) image.Export {
	t.Helper()
	run(t, "qemu-io", "-f", d.Format, "-c", "write -q -P 7 1M 128k", d.Source.File)
	return image.Export{Image: imageOf(d), Socket: filepath.Join(t.TempDir(), "so cket?&"), Size: size, Work: t.TempDir()}
}

// served reads an export with a tool, and waits until it has ended by itself.
func served(t *testing.T, e image.Export, read func(uri string)) {
	t.Helper()
	ready, ended := make(chan bool), make(chan error, 1)
	e.Ready = func() { close(ready) }
	go func() { ended <- e.Serve(t.Context()) }()
	select {
	case <-ready:
		read(e.URI())
	case err := <-ended:
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	wantNoSocket(t, e)
}

func wantNoSocket(t *testing.T, e image.Export) {
	t.Helper()
	if left, err := filepath.Glob(e.Socket + "*"); err != nil || len(left) > 0 {
		t.Errorf("left are %q, %v", left, err)
	}
}

func TestExportIsReadUntilTheReaderGoes(t *testing.T) {
	for format, d := range disks(t) {
		e := exportOf(t, d)
		served(t, e, func(uri string) {
			if info, err := os.Lstat(e.Socket); err != nil || info.Mode() != fs.ModeSocket|0o600 {
				t.Errorf("%s: %v, %v", format, info.Mode(), err)
			}
			if out, err := exec.Command("qemu-io", "-f", "raw", "-c", "write 0 64k", uri).CombinedOutput(); err == nil {
				t.Errorf("%s: it was written to: %s", format, out)
			}
		})
		served(t, e, func(uri string) { run(t, "qemu-img", "compare", "-U", "-f", "raw", "-F", format, uri, d.Source.File) })
	}
}

// TestExportSaysWhatHasChanged: a bit is 64 KiB, and the last one ends with the disk.
func TestExportSaysWhatHasChanged(t *testing.T) {
	for _, d := range disks(t) {
		e := exportOf(t, d)
		e.Marked = true
		e.Changed = []methods.Extent{{Offset: 100, Length: 1}, {Offset: 64<<10 - 1, Length: 2}, {Offset: 1 << 20, Length: 64 << 10}, {Offset: size - 1, Length: 1}}
		var mapped []struct {
			Start, Length int64
			Present       bool
		}
		served(t, e, func(string) {
			out, err := exec.Command("qemu-img", "map", "--output=json", "--image-opts",
				"driver=nbd,server.type=unix,server.path="+e.Socket+",x-dirty-bitmap="+image.MarkContext).Output()
			if err == nil {
				err = json.Unmarshal(out, &mapped)
			}
			if err != nil {
				t.Error(err)
			}
		})
		var dirty []methods.Extent
		for _, m := range mapped {
			if !m.Present {
				dirty = append(dirty, methods.Extent{Offset: m.Start, Length: m.Length})
			}
		}
		want := []methods.Extent{{Length: 128 << 10}, {Offset: 1 << 20, Length: 64 << 10}, {Offset: size - 64<<10, Length: 64 << 10}}
		if diff := cmp.Diff(want, dirty); diff != "" {
			t.Error(diff)
		}
		e.Work = t.TempDir()
		served(t, e, func(uri string) { run(t, "qemu-img", "compare", "-U", "-f", "raw", "-F", d.Format, uri, d.Source.File) })
	}
}

func TestExportEndsWhenItIsToldTo(t *testing.T) {
	e := exportOf(t, disks(t)["qcow2"])
	ctx, cancel := context.WithCancel(t.Context())
	e.Ready = cancel
	if err := e.Serve(ctx); err != nil {
		t.Error(err)
	}
	wantNoSocket(t, e)
}

func TestExportOfWhatIsNotThereIsAnError(t *testing.T) {
	e := exportOf(t, disks(t)["raw"])
	e.Image.Source.File = "/nowhere"
	if err := e.Serve(t.Context()); !errors.Is(err, methods.ErrNotFound) {
		t.Error(err)
	}
	wantNoSocket(t, e)
}

// TestSocketTakesNobodysPlace: but that of a socket at which nobody answers any more.
func TestSocketTakesNobodysPlace(t *testing.T) {
	e := exportOf(t, disks(t)["raw"])
	if err := os.WriteFile(e.Socket, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.Serve(t.Context()); !errors.Is(err, methods.ErrExists) {
		t.Errorf("a file: %v", err)
	}
	if err := os.Remove(e.Socket); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: e.Socket})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Serve(t.Context()); !errors.Is(err, methods.ErrExists) {
		t.Errorf("a socket that somebody answers at: %v", err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(l.Close(), os.MkdirAll(e.Socket+".domsnap-partial", 0o700)); err != nil {
		t.Fatal(err)
	}
	served(t, e, func(uri string) { run(t, "qemu-img", "info", uri) })
}

func TestSocketIsInNobodyElsesDirectory(t *testing.T) {
	e := exportOf(t, disks(t)["raw"])
	dir := filepath.Dir(e.Socket)
	for _, mode := range []fs.FileMode{0o777, 0o770} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := e.Serve(t.Context()); !errors.Is(err, methods.ErrBlocked) {
			t.Errorf("mode %o: %v", mode, err)
		}
		below := e
		below.Socket = filepath.Join(dir, "below", "socket")
		if err := os.MkdirAll(filepath.Dir(below.Socket), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := below.Serve(t.Context()); !errors.Is(err, methods.ErrBlocked) {
			t.Errorf("below mode %o: %v", mode, err)
		}
	}
	if err := os.Chmod(dir, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	served(t, e, func(uri string) { run(t, "qemu-img", "info", uri) })
}

func TestFromSource(t *testing.T) {
	rbd := methods.Source{RBD: &methods.RBDImage{Pool: "p", Image: "i", Snapshot: "s"}}
	for _, c := range []struct {
		source methods.BackupSource
		want   methods.Source
		err    error
	}{
		{methods.BackupSource{URI: "/dev/vg0/ds", Format: "raw"}, methods.Source{File: "/dev/vg0/ds"}, nil},
		{methods.BackupSource{URI: "rbd:p/i@s", Format: "raw", Source: rbd}, rbd, nil},
		{methods.BackupSource{URI: "nbd://far/away", Format: "raw"}, methods.Source{}, methods.ErrUnsupported},
		{methods.BackupSource{URI: "relative", Format: "raw"}, methods.Source{}, methods.ErrUnsupported},
	} {
		got, err := image.FromSource(c.source)
		if !errors.Is(err, c.err) || !cmp.Equal(got.Source, c.want) {
			t.Errorf("%+v: %+v, %v", c.source, got, err)
		}
	}
}
