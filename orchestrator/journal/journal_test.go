package journal_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/journal"
)

const uuid = "6f1d2c3b-0000-4000-8000-000000000001"

func someIntent() journal.Intent {
	disk := methods.Disk{Target: "vda", Source: methods.Source{RBD: &methods.RBDImage{Pool: "p", Image: "i"}}, Format: "raw"}
	ref := methods.Ref{Snapshot: "sone", Method: "rbd", Disk: disk, Origin: "p/i", Name: "ds-sone-vda", Size: 5}
	return journal.Intent{
		Verb: journal.Revert, Domain: "web <1>", UUID: uuid, Started: time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC),
		Snapshot: "sone", Refs: []methods.Ref{ref}, Kept: []methods.Ref{ref}, Moving: []string{"vda"}, Safety: "stwo",
		Disks: []methods.Disk{disk}, Whole: true, State: "running",
	}
}

func begun(t *testing.T) journal.Journal {
	t.Helper()
	j := journal.Journal{Dir: filepath.Join(t.TempDir(), "journal")}
	if err := j.Begin(someIntent()); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestIntentComesBackAsItWas(t *testing.T) {
	got, err := begun(t).Pending(uuid)
	if err != nil {
		t.Fatal(err)
	}
	want := someIntent()
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBeginReplacesAndLeavesOneFile(t *testing.T) {
	j := begun(t)
	next := someIntent()
	next.Snapshot = "sthree"
	if err := j.Begin(next); err != nil {
		t.Fatal(err)
	}
	got, err := j.Pending(uuid)
	if err != nil || got.Snapshot != "sthree" {
		t.Errorf("pending is %+v, %v", got, err)
	}
	files, err := os.ReadDir(j.Dir)
	if err != nil || len(files) != 1 {
		t.Errorf("the directory has %v, %v", files, err)
	}
}

func TestEndTwiceIsNoError(t *testing.T) {
	j := begun(t)
	for range 2 {
		if err := j.End(uuid); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.Pending(uuid); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pending after the end: %v", err)
	}
}

func TestDomainsListsTheOpenOnes(t *testing.T) {
	empty := journal.Journal{Dir: filepath.Join(t.TempDir(), "none")}
	if got, err := empty.Domains(); err != nil || len(got) > 0 {
		t.Errorf("without a directory: %q, %v", got, err)
	}
	if got, err := begun(t).Domains(); err != nil || !cmp.Equal(got, []string{uuid}) {
		t.Errorf("with one: %q, %v", got, err)
	}
}

func TestEveryTornFileIsNoticed(t *testing.T) {
	j := begun(t)
	path := filepath.Join(j.Dir, uuid+".journal")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Pending(uuid); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%d of %d bytes were taken for whole: %v", n, len(whole), err)
		}
	}
}

func TestChangedByteIsNoticed(t *testing.T) {
	j := begun(t)
	path := filepath.Join(j.Dir, uuid+".journal")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(whole), "ds-sone-vda", "ds-sone-vdb", 1)
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if i, err := j.Pending(uuid); err == nil {
		t.Errorf("it was read as %+v", i)
	}
}

func TestUUIDStaysInsideTheDirectory(t *testing.T) {
	j := begun(t)
	i := someIntent()
	i.UUID = "../../escape"
	if err := j.Begin(i); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(j.Dir, "escape.journal")); err != nil {
		t.Error(err)
	}
}

func TestJournalIsForItsOwnerOnly(t *testing.T) {
	j := begun(t)
	for path, want := range map[string]fs.FileMode{j.Dir: 0o700, filepath.Join(j.Dir, uuid+".journal"): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
	}
}
