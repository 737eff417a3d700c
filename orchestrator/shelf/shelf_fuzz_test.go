package shelf_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/domsnap/domsnap/orchestrator/shelf"
)

// FuzzGet: a file is a copy, or damaged.
func FuzzGet(f *testing.F) {
	f.Add([]byte(`{"written":"2026-11-20T03:00:00Z","lineage":"<lineage/>","sources":[{"target":"vda","source":"/a","format":"raw"}]}`))
	f.Add([]byte(`{"sources":[null,{}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := shelf.Shelf{Dir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(s.Dir, "u.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := s.Get("u")
		if (c == nil) == (err == nil) || err != nil && !errors.Is(err, shelf.ErrDamaged) {
			t.Errorf("got %v, %v", c, err)
		}
	})
}
