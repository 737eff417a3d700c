// Package base remembers which snapshots the next replicas are increments of, so that they stay until then.
package base

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/domsnap/domsnap/orchestrator/durable"
)

// Base is the snapshot that was last replicated to a place.
type Base struct {
	// To names the place, Snapshot is an id.
	To       string    `json:"to"`
	Snapshot string    `json:"snapshot"`
	Since    time.Time `json:"since"`
}

// String says, for people, what the snapshot is needed for.
func (b Base) String() string { return "the next increment to " + b.To }

// Store is a directory with a file for each domain that has any.
type Store struct{ Dir string }

// Get gives the bases of a domain.
func (s Store) Get(uuid string) ([]Base, error) {
	text, err := s.disk().ReadFile(nameOf(uuid))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []Base
	if err == nil {
		all, err = parse(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read which snapshots the next replicas need: %w", err)
	}
	return all, nil
}

func parse(text []byte) ([]Base, error) {
	var all []Base
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	return all, nil
}

// Set puts b in the place of what was replicated to the same place before.
func (s Store) Set(uuid string, b Base) error {
	all, err := s.Get(uuid)
	if err != nil {
		return err
	}
	return s.put(uuid, append(without(all, b.To), b))
}

// Forget says that nothing is replicated there any more; false where nothing was.
func (s Store) Forget(uuid, to string) (bool, error) {
	all, err := s.Get(uuid)
	if err != nil {
		return false, err
	}
	left := without(all, to)
	if len(left) == len(all) {
		return false, nil
	}
	return true, s.put(uuid, left)
}

func without(all []Base, to string) []Base {
	return slices.DeleteFunc(slices.Clone(all), func(b Base) bool { return b.To == to })
}

func (s Store) put(uuid string, all []Base) error {
	if all == nil {
		all = []Base{}
	}
	text, err := json.Marshal(all)
	if err == nil {
		err = durable.Replace(s.disk(), nameOf(uuid), text)
	}
	if err != nil {
		return fmt.Errorf("write which snapshots the next replicas need: %w", err)
	}
	return nil
}

func (s Store) disk() durable.Disk { return durable.Disk{Dir: s.Dir} }

func nameOf(uuid string) string { return filepath.Base(uuid) + ".json" }
