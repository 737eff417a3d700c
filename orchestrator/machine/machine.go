// Package machine keeps what belongs to a virtual machine besides its disks, snapshot by snapshot: its definition, the
// variables of its firmware, the state of its TPM.
//
// A store is a directory for root alone: DIR/DOMAIN/SNAPSHOT has domain.xml and, by their names, the parts, each with the
// owner and mode that it had. A snapshot's directory is there as a whole or not at all.
package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The parts that a machine may have.
const (
	NVRAM = "nvram"
	TPM   = "tpm"
)

// definition is the name under which the domain's XML is kept.
const definition = "domain.xml"

// Part is a file or a directory with a piece of the machine's state.
type Part struct {
	// Name is one of the parts above.
	Name string `json:"name"`
	// Path is where the hypervisor has it.
	Path string `json:"path"`
}

// State is what is to be kept.
type State struct {
	// Definition is the domain's inactive XML, without any secret.
	Definition string
	// Parts that are not there yet are left out: firmware and TPM make theirs with the first start.
	Parts []Part
}

// Store has the machines of this host.
type Store struct{ Dir string }

// Snapshot names what is kept for one snapshot.
type Snapshot struct{ Domain, ID string }

// ErrNoFile: a part is neither a file nor a directory.
var ErrNoFile = errors.New("neither a file nor a directory")

// ErrNotKept: the store has nothing of the snapshot.
var ErrNotKept = errors.New("nothing of the machine is kept")

// Definition is the domain's XML when the snapshot was taken. It fails with ErrNotKept.
func (s Store) Definition(of Snapshot) (string, error) {
	text, err := os.ReadFile(filepath.Join(s.Path(of), definition))
	if err != nil {
		return "", s.notKept(of, err)
	}
	return string(text), nil
}

// Parts are the names of what is kept besides the definition. It fails with ErrNotKept.
func (s Store) Parts(of Snapshot) ([]string, error) {
	entries, err := os.ReadDir(s.Path(of))
	if err != nil {
		return nil, s.notKept(of, err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != definition {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (s Store) notKept(of Snapshot, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w in %s", ErrNotKept, s.Path(of))
	}
	return fmt.Errorf("read the kept machine: %w", err)
}

// Remove forgets the snapshot, also one that was not finished. There being none is no error.
func (s Store) Remove(of Snapshot) error {
	err := os.RemoveAll(s.unfinished(of))
	if err == nil {
		err = os.Rename(s.Path(of), s.unfinished(of))
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err := errors.Join(err, os.RemoveAll(s.unfinished(of))); err != nil {
		return fmt.Errorf("remove the kept machine: %w", err)
	}
	// The last one takes the domain's directory with it.
	_ = os.Remove(filepath.Dir(s.Path(of)))
	return nil
}

// Snapshots are the ids of a domain's snapshots of which something is kept, whole or not.
func (s Store) Snapshots(domain string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.Dir, filepath.Base(domain)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the kept machines: %w", err)
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, strings.TrimSuffix(e.Name(), suffix))
	}
	return slices.Compact(ids), nil
}

// Path is where the snapshot's parts are.
func (s Store) Path(of Snapshot) string {
	return filepath.Join(s.Dir, filepath.Base(of.Domain), filepath.Base(of.ID))
}

// suffix is that of a directory which is not whole yet.
const suffix = ".new"

func (s Store) unfinished(of Snapshot) string { return s.Path(of) + suffix }
