package journal

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// disk is a directory of this host. It is made with the first file.
type disk struct{ dir string }

func (d disk) path(name string) string { return filepath.Join(d.dir, name) }

func (d disk) Create(name string) (file, error) {
	if err := d.make(); err != nil {
		return nil, err
	}
	return d.open(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
}

// make makes a directory that a crash does not take away again with all that is in it.
func (d disk) make() error {
	if _, err := os.Stat(d.dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	return disk{filepath.Dir(d.dir)}.Sync()
}

func (d disk) Append(name string) (file, error) { return d.open(name, os.O_APPEND|os.O_WRONLY) }

func (d disk) open(name string, flags int) (file, error) {
	return os.OpenFile(d.path(name), flags|syscall.O_NOFOLLOW, 0o600)
}

func (d disk) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

func (d disk) Remove(name string) error { return os.Remove(d.path(name)) }

func (d disk) ReadFile(name string) ([]byte, error) { return os.ReadFile(d.path(name)) }

func (d disk) Sync() error {
	dir, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
