package shelf_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/orchestrator/shelf"
)

func TestPutGet(t *testing.T) {
	s := shelf.Shelf{Dir: filepath.Join(t.TempDir(), "domains")}
	if c, err := s.Get("u"); c != nil || err != nil {
		t.Fatalf("of nothing: %v, %v", c, err)
	}
	for _, want := range []shelf.Copy{
		{Written: time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC), Lineage: "<lineage/>", Sources: []shelf.Source{{Target: "vda", Source: "/a", Format: "raw"}}},
		{Lineage: "<lineage rev='2'/>"},
	} {
		if err := s.Put("u", want); err != nil {
			t.Fatal(err)
		}
		got, err := s.Get("u")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestNobodyElseReadsIt(t *testing.T) {
	s := shelf.Shelf{Dir: filepath.Join(t.TempDir(), "domains")}
	if err := s.Put("../u", shelf.Copy{}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{s.Dir: 0o700 | os.ModeDir, filepath.Join(s.Dir, "u.json"): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestDamagedCopyIsAnError(t *testing.T) {
	s := shelf.Shelf{Dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(s.Dir, "u.json"), []byte(`{"lineage":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Get("u"); err == nil {
		t.Errorf("it was taken: %+v", c)
	}
}
