package btrfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func rawDisk(file string) methods.Disk {
	return methods.Disk{Target: "vda", Format: "raw", Source: methods.Source{File: file}}
}

func TestChoose(t *testing.T) {
	tests := []struct {
		name   string
		method *Method
		fs     filesystem
		alone  bool
		want   string
	}{
		{"own subvolume", New(), onBtrfs, true, "subvolume"},
		{"shared directory", New(), onBtrfs, false, "reflink"},
		{"btrfs never on XFS", New(), onXFS, false, ""},
		{"btrfs elsewhere", New(), onOther, false, ""},
		{"reflink on XFS", NewReflink(), onXFS, false, "reflink"},
		{"reflink leaves subvolumes alone", NewReflink(), onBtrfs, true, "reflink"},
		{"reflink elsewhere", NewReflink(), onOther, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, err := tt.method.choose(tt.fs, tt.alone)
			if tt.want == "" {
				wantError(t, err, methods.ErrUnsupported)
				return
			}
			if err != nil || w.mode() != tt.want {
				t.Fatalf("choose: %v, %v; want %s", w, err, tt.want)
			}
		})
	}
}

func TestPlanRefusesDisks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "disk.raw")
	tests := map[string]methods.Disk{
		"device":        {Target: "vda", Format: "raw", Source: methods.Source{Dev: "/dev/sda"}},
		"empty":         {Target: "vda", Format: "raw"},
		"relative path": rawDisk("disk.raw"),
		"root":          rawDisk("/.."),
		"vmdk":          {Target: "vda", Format: "vmdk", Source: methods.Source{File: file}},
		"no format":     {Target: "vda", Source: methods.Source{File: file}},
	}
	for name, disk := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New().Plan(context.Background(), methods.PlanRequest{Disk: disk, ID: "abcd1"})
			wantError(t, err, methods.ErrUnsupported)
			if got := New().Claim(context.Background(), disk); got.Rank != 0 {
				t.Errorf("Claim: %+v, want none", got)
			}
		})
	}
}

func TestPlanWithoutDirectory(t *testing.T) {
	disk := rawDisk(filepath.Join(t.TempDir(), "gone", "disk.raw"))
	_, err := New().Plan(context.Background(), methods.PlanRequest{Disk: disk, ID: "abcd1"})
	wantError(t, err, methods.ErrBlocked)
}

func TestClaimOnlyRaw(t *testing.T) {
	disk := rawDisk(filepath.Join(t.TempDir(), "disk.qcow2"))
	disk.Format = "qcow2"
	for _, m := range []*Method{New(), NewReflink()} {
		if got := m.Claim(context.Background(), disk); got.Rank != 0 {
			t.Errorf("%s claims qcow2: %+v", m.Traits().Name, got)
		}
	}
}

func TestLocate(t *testing.T) {
	tests := []struct {
		way        way
		path, file string
	}{
		{subvolume{}, "/img/.domsnap/ds-abcd1-vda", "/img/.domsnap/ds-abcd1-vda/a.img"},
		{reflink{}, "/img/.domsnap/ds-abcd1-vda.raw", "/img/.domsnap/ds-abcd1-vda.raw"},
	}
	for _, tt := range tests {
		l, err := locate(tt.way, "abcd1", rawDisk("/img//a.img"))
		if err != nil || l.path() != tt.path || l.file() != tt.file {
			t.Errorf("locate: %s, %s, %v; want %s, %s", l.path(), l.file(), err, tt.path, tt.file)
		}
	}
}

func TestRecordedTrustsNoName(t *testing.T) {
	good := methods.Ref{
		Snapshot: "abcd1", Method: "btrfs", Mode: "reflink", Disk: rawDisk("/img/a.img"),
		Name: "/img/.domsnap/ds-abcd1-vda.raw",
	}
	if _, err := New().recorded(good); err != nil {
		t.Fatal(err)
	}
	spoil := map[string]func(*methods.Ref){
		"other place":  func(r *methods.Ref) { r.Name = "/etc/.domsnap/ds-abcd1-vda.raw" },
		"traversal":    func(r *methods.Ref) { r.Name = "/img/.domsnap/../a.img" },
		"hostile id":   func(r *methods.Ref) { r.Snapshot = "../../etc" },
		"dash id":      func(r *methods.Ref) { r.Snapshot = "-rf" },
		"long id":      func(r *methods.Ref) { r.Snapshot = strings.Repeat("a", 255) },
		"target":       func(r *methods.Ref) { r.Disk.Target = "a/b" },
		"space":        func(r *methods.Ref) { r.Disk.Target = "v da" },
		"format":       func(r *methods.Ref) { r.Disk.Format = "raw/../x" },
		"mode":         func(r *methods.Ref) { r.Mode = "thin" },
		"other mode":   func(r *methods.Ref) { r.Mode = "subvolume" },
		"other method": func(r *methods.Ref) { r.Method = "lvm" },
		"other disk":   func(r *methods.Ref) { r.Disk.Source.File = "/img2/a.img" },
	}
	for name, change := range spoil {
		ref := good
		change(&ref)
		if _, err := New().recorded(ref); err == nil {
			t.Errorf("%s: %+v was trusted", name, ref)
		}
		if err := New().Drop(context.Background(), methods.DropRequest{Ref: ref}); err == nil {
			t.Errorf("%s: %+v was dropped", name, ref)
		}
	}
}

func TestPrepareWantsOneRef(t *testing.T) {
	if _, err := New().Prepare(context.Background(), nil); err == nil {
		t.Error("Prepare of nothing: no error")
	}
}

func TestMissingDirectoryIsNotFound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	ref := methods.Ref{
		Snapshot: "abcd1", Method: "btrfs", Mode: "reflink", Disk: rawDisk(dir + "/a.img"),
		Name: dir + "/.domsnap/ds-abcd1-vda.raw",
	}
	_, err := New().Stat(context.Background(), ref)
	wantError(t, err, methods.ErrNotFound)
	if err := New().Drop(context.Background(), methods.DropRequest{Ref: ref}); err != nil {
		t.Errorf("Drop: %v", err)
	}
}

func TestOpenRegular(t *testing.T) {
	path := t.TempDir()
	must(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	must(t, os.Symlink("file", filepath.Join(path, "link")))
	must(t, os.Mkdir(filepath.Join(path, "dir"), 0o700))
	dir, err := os.Open(path)
	must(t, err)
	defer dir.Close()
	f, err := openRegular(dir, "file", os.O_RDONLY)
	must(t, err)
	must(t, f.Close())
	for _, name := range []string{"link", "dir"} {
		_, err := openRegular(dir, name, os.O_RDONLY)
		wantError(t, err, methods.ErrBlocked)
	}
	if _, err := openRegular(dir, "../"+filepath.Base(path)+"/file", os.O_RDONLY); err != nil {
		wantError(t, err, methods.ErrBlocked)
	} else {
		t.Error("a name led out of its directory")
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
