package btrfs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func TestProbe(t *testing.T) {
	for format, changes := range map[string]bool{"raw": true, "qcow2": false} {
		verbs, err := New().Probe(t.Context(), methods.Ref{Disk: methods.Disk{Format: format}})
		if err != nil || verbs.Changes != changes || !verbs.List || !verbs.Revert || !verbs.Source {
			t.Errorf("%s: %+v, %v", format, verbs, err)
		}
	}
}

func TestExtentsOfQcow2SayNothing(t *testing.T) {
	disk := rawDisk("/img/a.qcow2")
	disk.Format = "qcow2"
	l, err := locate(subvolume{}, "abcd1", disk)
	must(t, err)
	_, err = New().Changes(t.Context(), methods.ChangesRequest{Disk: disk, From: methods.Ref{
		Snapshot: "abcd1", Method: "btrfs", Mode: "subvolume", Disk: disk, Name: l.path(),
	}})
	wantError(t, err, methods.ErrUnsupported)
}

func TestReadingWithoutDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	ref := methods.Ref{
		Snapshot: "abcd1", Method: "btrfs", Mode: "reflink", Disk: rawDisk(dir + "/a.img"),
		Name: dir + "/.domsnap/ds-abcd1-vda.raw",
	}
	_, err := New().Open(t.Context(), ref)
	wantError(t, err, methods.ErrNotFound)
	_, err = New().Changes(t.Context(), methods.ChangesRequest{From: ref, Disk: ref.Disk})
	wantError(t, err, methods.ErrNotFound)
	if names, err := New().List(t.Context(), ref.Disk); len(names) > 0 || err != nil {
		t.Errorf("List: %v, %v", names, err)
	}
}

func TestObjectOf(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{
		"ds-abcd1-vda.raw":     "ds-abcd1-vda",
		"ds-abcd1-vda.qcow2":   "ds-abcd1-vda",
		"ds-abcd1-vda":         "",
		"ds-abcd1-vda.raw.old": "",
		"ds-abcd1-vdb.raw":     "",
		"ds-abcd1-xvda.raw":    "",
		"ds--vda.raw":          "",
		"ds-vda.raw":           "",
		"other":                "",
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
		wantObject(t, filepath.Join(dir, name), want)
		must(t, os.Remove(filepath.Join(dir, name)))
	}
	must(t, os.Mkdir(filepath.Join(dir, "ds-abcd1-vda"), 0o700))
	wantObject(t, filepath.Join(dir, "ds-abcd1-vda"), "ds-abcd1-vda")
}

func wantObject(t *testing.T, path, want string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if got, _ := objectOf(entries[0], "vda"); len(entries) != 1 || got != want {
		t.Errorf("%s is %q, want %q", path, got, want)
	}
}
