package hold

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mostNote is more than a note can be.
const mostNote = 4096

// Living are the holds of a domain's snapshots whose holders live.
func (s Store) Living(uuid string) ([]Note, error) {
	var living []Note
	err := s.each(uuid, func(path string) error {
		n, lives, err := look(path)
		if lives {
			living = append(living, n)
		}
		return err
	})
	return living, err
}

// Sweep takes away what holders left that did not end by themselves. The caller has the domain's lock.
func (s Store) Sweep(uuid string) error {
	return s.each(uuid, func(path string) error {
		_, lives, err := look(path)
		if err != nil || lives {
			return err
		}
		return discard(path)
	})
}

// each goes over the files that holds are, or were.
func (s Store) each(uuid string, do func(path string) error) error {
	entries, err := os.ReadDir(s.domain(uuid))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for who reads snapshots: %w", err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := do(filepath.Join(s.domain(uuid), e.Name())); err != nil {
			return fmt.Errorf("look for who reads snapshots: %w", err)
		}
	}
	return nil
}

// look asks for a shared lock: so those who look are not in each other's way.
func look(path string) (n Note, lives bool, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Note{}, false, nil
	}
	if err != nil {
		return Note{}, false, err
	}
	defer f.Close()
	err = flock(f, unix.LOCK_SH|unix.LOCK_NB)
	if err == nil {
		return Note{}, false, nil
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return Note{}, false, err
	}
	text, err := io.ReadAll(io.LimitReader(f, mostNote))
	return parse(filepath.Base(path), text), true, err
}

// parse reads a note. The name of its file says which snapshot it is of, whatever is in it: one that cannot be read holds
// all disks.
func parse(name string, text []byte) Note {
	snapshot, _, _ := strings.Cut(name, ".")
	var n Note
	if err := json.Unmarshal(text, &n); err != nil || n.Snapshot != snapshot || n.PID <= 0 {
		return Note{Snapshot: snapshot}
	}
	return n
}
