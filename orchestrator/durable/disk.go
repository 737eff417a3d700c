package durable

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Disk is a directory of this host, for root alone. It is made with the first file.
type Disk struct{ Dir string }

func (d Disk) path(name string) string { return filepath.Join(d.Dir, name) }

// Create implements Directory.
func (d Disk) Create(name string) (File, error) {
	if err := d.make(); err != nil {
		return nil, err
	}
	return d.open(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
}

// make makes a directory that a crash does not take away again with all that is in it.
func (d Disk) make() error {
	if _, err := os.Stat(d.Dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return err
	}
	return Disk{filepath.Dir(d.Dir)}.Sync()
}

// Append implements Directory.
func (d Disk) Append(name string) (File, error) { return d.open(name, os.O_APPEND|os.O_WRONLY) }

func (d Disk) open(name string, flags int) (File, error) {
	return os.OpenFile(d.path(name), flags|syscall.O_NOFOLLOW, 0o600)
}

// Rename implements Directory.
func (d Disk) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

// Remove implements Directory.
func (d Disk) Remove(name string) error { return os.Remove(d.path(name)) }

// ReadFile implements Directory.
func (d Disk) ReadFile(name string) ([]byte, error) { return os.ReadFile(d.path(name)) }

// Named lists the files whose names end so, without that end.
func (d Disk) Named(suffix string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(d.Dir, "*"+suffix))
	if err != nil {
		return nil, err
	}
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = strings.TrimSuffix(filepath.Base(p), suffix)
	}
	return names, nil
}

// Sync implements Directory.
func (d Disk) Sync() error {
	dir, err := os.Open(d.Dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
