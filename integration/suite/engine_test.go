//go:build !lab

package suite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/engine"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/methods/methodtest"
)

// The environment variables that name an engine, the file with a <diskSnapshot> element for it, and the program that
// makes disks.
const (
	engineVariable = "DOMSNAP_TEST_ENGINE"
	specVariable   = "DOMSNAP_TEST_SPEC"
	diskVariable   = "DOMSNAP_TEST_DISK"
)

func TestEngine(t *testing.T) {
	path := os.Getenv(engineVariable)
	if path == "" {
		methodtest.Run(t, methodtest.Suite{Name: "engine chunks", New: newExample})
		return
	}
	a := author{path: path, spec: loadSpec(t, os.Getenv(specVariable)), disks: os.Getenv(diskVariable)}
	methodtest.Run(t, methodtest.Suite{Name: "engine " + nameOf(path), New: a.fixture})
}

// newExample gives the example engine a store of its own.
func newExample(t methodtest.T) methodtest.Fixture {
	store := t.TempDir()
	f := methodtest.ForFile(methodtest.FileOptions{
		Method: load(t, "../../methods/engine/example/domsnap-method-chunks"),
		Spec:   parseSpec(t, "<diskSnapshot method='chunks'><store path='"+store+"'/></diskSnapshot>"),
	})(t)
	f.Objects = func(t methodtest.T, d methods.Disk) []string {
		found, err := filepath.Glob(store + "/*/ds-*-" + d.Target + "*")
		if err != nil {
			t.Fatalf("list the store: %v", err)
		}
		for i, path := range found {
			found[i] = filepath.Base(path)
		}
		return found
	}
	return f
}

// author is who has written an engine.
type author struct {
	path string
	spec methods.Spec
	// disks is the program that makes disks; without it they are raw files.
	disks string
}

func (a author) fixture(t methodtest.T) methodtest.Fixture {
	m := load(t, a.path)
	if a.disks == "" {
		return methodtest.ForFile(methodtest.FileOptions{Method: m, Spec: a.spec})(t)
	}
	return methodtest.Fixture{Method: m, Spec: a.spec, Disks: image.Access{}, NewDisk: maker(a.disks).newDisk}
}

func nameOf(path string) string {
	return strings.TrimPrefix(filepath.Base(path), engine.Prefix)
}

func load(t methodtest.T, path string) methods.Method {
	t.Helper()
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatalf("find the engine: %v", err)
	}
	return engine.Load(t.Context(), engine.File{Name: nameOf(path), Path: absolute}, engine.DefaultLimits())
}

func loadSpec(t *testing.T, path string) methods.Spec {
	t.Helper()
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parseSpec(t, string(text))
}
