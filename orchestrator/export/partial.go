package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/durable"
)

// partialSuffix is what the name of a file ends with that is not whole yet. No other program's files are called so.
const partialSuffix = ".domsnap-partial"

// partial is a file on its way. It is locked as long as we live, so that one that was left can be told.
type partial struct {
	path string
	file *os.File
	// listed: the list of extents is beside.
	listed bool
}

// claim begins a file. It fails with ErrExists where the file, or what belongs to it, is there already, and with ErrBlocked
// where another process writes it just now.
func claim(path string) (*partial, error) {
	if err := clear(path); err != nil {
		return nil, err
	}
	if err := errors.Join(absent(path), absent(path+ExtentsSuffix)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path+partialSuffix, os.O_CREATE|os.O_EXCL|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, busy(path)
	}
	if err != nil {
		return nil, err
	}
	p := &partial{path: path, file: f}
	// Who clears just now takes it for one that was left.
	if err := lock(f); err != nil || !p.inPlace() {
		return nil, errors.Join(busy(path), err, f.Close())
	}
	return p, nil
}

func busy(path string) error { return methods.Blockedf("another process exports to %s", path) }

func absent(path string) error {
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return fmt.Errorf("%s: %w", path, methods.ErrExists)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

func lock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

func (p *partial) name() string { return p.path + partialSuffix }

// inPlace says whether the file still has its name.
func (p *partial) inPlace() bool {
	here, err := p.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(p.name())
	return err == nil && os.SameFile(here, there)
}

// clear takes away what a process that was killed has left: the list comes to its place before the file does, so without
// the file it means nothing.
func clear(path string) error {
	f, err := os.OpenFile(path+partialSuffix, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	left := &partial{path: path, file: f}
	if lock(f) != nil || !left.inPlace() {
		return busy(path)
	}
	left.listed = absent(path) == nil
	return left.remove()
}

// list writes the extents down, durably.
func (p *partial) list(size int64, extents []methods.Extent) error {
	if extents == nil {
		extents = []methods.Extent{}
	}
	text, err := json.Marshal(struct {
		Size    int64            `json:"size"`
		Extents []methods.Extent `json:"extents"`
	}{size, extents})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(p.path+ExtentsSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	p.listed = true
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// publish gives the file its name, unless something has it by now.
func (p *partial) publish() error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	err := unix.Renameat2(unix.AT_FDCWD, p.name(), unix.AT_FDCWD, p.path, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		// This file system does not know how, as NFS.
		if err = absent(p.path); err == nil {
			err = os.Rename(p.name(), p.path)
		}
	}
	if errors.Is(err, unix.EEXIST) {
		err = absent(p.path)
	}
	if err != nil {
		return err
	}
	if err := (durable.Disk{Dir: filepath.Dir(p.path)}).Sync(); err != nil {
		return errors.Join(err, os.Remove(p.path))
	}
	return p.file.Close()
}

// abandon leaves nothing.
func (p *partial) abandon() error { return errors.Join(p.remove(), p.file.Close()) }

func (p *partial) remove() error {
	var err error
	if p.listed {
		err = removed(p.path + ExtentsSuffix)
	}
	return errors.Join(err, removed(p.name()))
}

func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
