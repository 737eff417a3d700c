//go:build !rbd

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestProgramBesideIsRunOnlyWhereNobodyElsePutItThere: it is found by a path, and that may lead to a directory of others.
func TestProgramBesideIsRunOnlyWhereNobodyElsePutItThere(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(path string) error
		good  bool
	}{
		"as installed":  {func(string) error { return nil }, true},
		"others write":  {func(path string) error { return os.Chmod(path, 0o757) }, false},
		"another's":     {func(path string) error { return os.Chown(path, 12345, -1) }, false},
		"a link":        {func(path string) error { return errors.Join(os.Rename(path, path+"1"), os.Symlink(path+"1", path)) }, false},
		"a pipe":        {func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o755)) }, false},
		"not installed": {os.Remove, false},
	} {
		if name == "another's" && os.Geteuid() != 0 {
			continue // only root gives files away
		}
		dir := t.TempDir()
		self, full := filepath.Join(dir, "bin/domsnap"), filepath.Join(dir, "libexec/domsnap/domsnap")
		for _, path := range []string{self, full} {
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o755)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.spoil(full); err != nil {
			t.Fatal(err)
		}
		f, err := openFull(self)
		if (err == nil) != c.good || errors.Is(err, fs.ErrNotExist) != (name == "not installed") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = f.Close()
		}
	}
}
