package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// beside is what a part is called until it takes its place.
const beside = ".domsnap-new"

// Restore puts parts of the snapshot back to where the hypervisor has them, each at once and durably; nothing may be using
// them. What is there in their place goes. Doing it again is the same as once. It fails with ErrNotKept.
func (s Store) Restore(of Snapshot, parts []Part) error {
	for _, p := range parts {
		from := filepath.Join(s.Path(of), p.Name)
		if _, err := os.Lstat(from); err != nil {
			return s.notKept(of, err)
		}
		if err := replace(from, p.Path); err != nil {
			return fmt.Errorf("put back the machine's %s: %w", p.Name, err)
		}
	}
	return nil
}

// replace copies a tree and puts it in place of what is at a path.
func replace(from, to string) error {
	fresh := to + beside
	err := copyTree(from, fresh)
	if err == nil {
		err = syncTree(fresh)
	}
	if err == nil {
		err = exchange(fresh, to)
	}
	if err == nil {
		err = syncAbove(to, to)
	}
	return errors.Join(err, os.RemoveAll(fresh))
}

// exchange puts a file or directory in place of another, at once where the file system can do that to a directory.
func exchange(fresh, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, fresh, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return os.Rename(fresh, to)
	default:
		return errors.Join(os.RemoveAll(to), os.Rename(fresh, to))
	}
}

// Present are the parts that are there, out of those that there may be.
func Present(parts []Part) ([]Part, error) {
	var there []Part
	for _, p := range parts {
		switch _, err := os.Lstat(filepath.Clean(p.Path)); {
		case err == nil:
			there = append(there, p)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("find the machine's %s: %w", p.Name, err)
		}
	}
	return there, nil
}
