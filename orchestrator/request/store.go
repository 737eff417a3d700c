package request

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/domsnap/domsnap/orchestrator/durable"
)

// Store is the directory of the requests. Who writes has the domain's lock.
type Store struct{ Dir string }

const suffix = ".revert"

// Put makes the request durable, in the place of one that the domain has already.
func (s Store) Put(r Revert) error {
	text, err := r.text()
	if err == nil {
		err = durable.Replace(s.disk(), nameOf(r.UUID), text)
	}
	if err != nil {
		return fmt.Errorf("write what is asked for at the shutdown: %w", err)
	}
	return nil
}

// Get reads the request of a domain; nil for none. It fails with ErrDamaged.
func (s Store) Get(uuid string) (*Revert, error) {
	text, err := readSome(s.Path(uuid))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var r *Revert
	if err == nil {
		r, err = parse(text)
	}
	if err == nil && r.UUID != uuid {
		err = fmt.Errorf("%w: it is of domain %q", ErrDamaged, r.UUID)
	}
	if err != nil {
		return nil, fmt.Errorf("read what is asked for at the shutdown, %s: %w", s.Path(uuid), err)
	}
	return r, nil
}

// Remove takes the request of a domain away, durably. There being none is no error.
func (s Store) Remove(uuid string) error {
	if err := durable.Remove(s.disk(), nameOf(uuid)); err != nil {
		return fmt.Errorf("take back what is asked for at the shutdown: %w", err)
	}
	return nil
}

// Domains lists the UUIDs of the domains that have one.
func (s Store) Domains() ([]string, error) {
	uuids, err := s.disk().Named(suffix)
	if err != nil {
		return nil, fmt.Errorf("list what is asked for at shutdowns: %w", err)
	}
	return uuids, nil
}

// Path is the file of a domain.
func (s Store) Path(uuid string) string { return filepath.Join(s.Dir, nameOf(uuid)) }

func (s Store) disk() durable.Disk { return durable.Disk{Dir: s.Dir} }

func nameOf(uuid string) string { return filepath.Base(uuid) + suffix }

// readSome reads a byte more than there may be, and no further.
func readSome(path string) (_ []byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, Limit+1))
}
