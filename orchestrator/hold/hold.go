// Package hold says who reads a snapshot, so that it stays meanwhile.
//
// A hold is a file that its holder keeps locked. So it ends with the last process that has the file open, however that
// ends; what is left of it then is a file that means nothing, and that the next sweep takes away.
package hold

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Note says what is held, and by whom.
type Note struct {
	// Snapshot is the id of the snapshot, Disk the target of the one disk that is read.
	Snapshot string `json:"snapshot"`
	Disk     string `json:"disk"`
	PID      int    `json:"pid"`
	// For is what the holder does.
	For   string    `json:"for"`
	Since time.Time `json:"since"`
}

// String names the holder for people.
func (n Note) String() string {
	if n.PID == 0 {
		return "a process that is about to read it, or whose note cannot be read"
	}
	return fmt.Sprintf("process %d (%s, since %s)", n.PID, n.For, n.Since.UTC().Format(time.RFC3339))
}

// Store is where the holds of all domains are.
type Store struct{ Dir string }

// workSuffix is what the name of a hold's working directory ends with.
const workSuffix = ".work"

// Hold is held by this process, and by every process that inherits its File.
type Hold struct {
	Note
	// File is what is locked. It is closed on exec, as every file here.
	File *os.File
}

// Take holds a snapshot of the domain. The caller has the domain's lock: so nobody deletes the snapshot just now, and nobody
// sweeps.
func (s Store) Take(uuid string, n Note) (_ *Hold, err error) {
	if n.Snapshot == "" || strings.ContainsAny(n.Snapshot, "./") {
		return nil, fmt.Errorf("hold snapshot %q: it is no id", n.Snapshot)
	}
	if err := os.MkdirAll(s.domain(uuid), 0o700); err != nil {
		return nil, fmt.Errorf("hold snapshot %s: %w", n.Snapshot, err)
	}
	f, err := os.CreateTemp(s.domain(uuid), n.Snapshot+".*")
	if err != nil {
		return nil, fmt.Errorf("hold snapshot %s: %w", n.Snapshot, err)
	}
	h := &Hold{n, f}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("hold snapshot %s: %w", n.Snapshot, err), h.Release())
		}
	}()
	// Whoever looks at it just now has it for a moment.
	if err := flock(f, unix.LOCK_EX); err != nil {
		return nil, err
	}
	return h, json.NewEncoder(f).Encode(n)
}

// Work makes a directory for what the holder needs meanwhile. It goes with the hold.
func (h *Hold) Work() (string, error) {
	dir := h.File.Name() + workSuffix
	return dir, os.Mkdir(dir, 0o700)
}

// Release ends the hold for this process. Who has inherited it must have ended before.
func (h *Hold) Release() error {
	return errors.Join(discard(h.File.Name()), h.File.Close())
}

func (s Store) domain(uuid string) string { return filepath.Join(s.Dir, filepath.Base(uuid)) }

// discard takes a hold's directory away before its file, without which nobody would find it.
func discard(path string) error {
	return errors.Join(os.RemoveAll(path+workSuffix), os.Remove(path))
}

// flock waits for a lock of the file, unless how says not to.
func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
