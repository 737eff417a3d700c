package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// What a part is called before it takes its place, and what was there after that.
const (
	fresh = ".domsnap-new"
	aside = ".domsnap-old"
)

// Check fails with ErrNoFile where there is something in the part's place that cannot be kept.
func Check(p Part) error {
	_, err := look(p.Path)
	if err == nil || errors.Is(err, ErrNoFile) {
		return err
	}
	return fmt.Errorf("find the machine's %s: %w", p.Name, err)
}

// Stage copies parts of the snapshot to beside where the hypervisor has them, so that hardly anything is left that could
// keep Swap from putting them there. It fails with ErrNotKept.
func (s Store) Stage(of Snapshot, parts []Part) error {
	for _, p := range parts {
		from := filepath.Join(s.Path(of), p.Name)
		if _, err := os.Lstat(from); err != nil {
			return s.notKept(of, err)
		}
		if err := copyTree(from, p.Path+fresh, true); err != nil {
			return fmt.Errorf("put the machine's %s beside: %w", p.Name, err)
		}
	}
	return nil
}

// Unstage takes away what Stage has made.
func (s Store) Unstage(parts []Part) error {
	var errs []error
	for _, p := range parts {
		errs = append(errs, os.RemoveAll(p.Path+fresh))
	}
	return errors.Join(errs...)
}

// Swap puts what was staged in place of what is there, durably; nothing may be using it. Interrupted, it is staged and
// swapped again.
func (s Store) Swap(parts []Part) error {
	for _, p := range parts {
		if err := swap(p.Path); err != nil {
			return fmt.Errorf("put back the machine's %s: %w", p.Name, err)
		}
	}
	return nil
}

// swap moves what is there aside: a file system may not know how to put one directory in place of another.
func swap(path string) error {
	err := moveAside(path)
	if err == nil {
		err = os.Rename(path+fresh, path)
	}
	if err == nil {
		err = syncAbove(path, path)
	}
	if err == nil {
		err = os.RemoveAll(path + aside)
	}
	return errors.Join(err, syncAbove(path, path))
}

func moveAside(path string) error {
	err := os.RemoveAll(path + aside)
	if err == nil {
		err = os.Rename(path, path+aside)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Discard takes parts away from where the hypervisor has them, durably: it makes them anew with the next start.
func (s Store) Discard(parts []Part) error {
	for _, p := range parts {
		err := moveAside(p.Path)
		if err == nil {
			err = errors.Join(os.RemoveAll(p.Path+aside), syncAbove(p.Path, p.Path))
		}
		if err != nil {
			return fmt.Errorf("take away the machine's %s: %w", p.Name, err)
		}
	}
	return nil
}
