package memory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/domsnap/domsnap/methods"
)

// Store is the storage: disks by their source, snapshots by their name. It is safe for use by several goroutines.
type Store struct {
	mu    sync.Mutex
	disks map[string][]byte
	// reserved are the names that Prepare made room for.
	reserved  map[string]bool
	snapshots map[string][]byte
	broken    map[string]bool
	hooks     map[place]func(context.Context) error
}

// NewStore makes an empty store.
func NewStore() *Store {
	return &Store{
		disks: map[string][]byte{}, reserved: map[string]bool{}, snapshots: map[string][]byte{},
		broken: map[string]bool{}, hooks: map[place]func(context.Context) error{},
	}
}

// SetDisk gives a disk its whole content, and makes it when there is none. The source begins with Prefix.
func (s *Store) SetDisk(source string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disks[source] = bytes.Clone(content)
}

// RemoveDisk takes a disk away.
func (s *Store) RemoveDisk(source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.disks, source)
}

// Disk is a copy of a disk's content; nil when there is no such disk.
func (s *Store) Disk(source string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.disks[source])
}

// Sources lists, in order, where there are disks.
func (s *Store) Sources() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.disks))
}

// Snapshot is a copy of a snapshot's content; nil when there is no such snapshot.
func (s *Store) Snapshot(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.snapshots[name])
}

// Break loses the content of a snapshot.
func (s *Store) Break(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[name] = true
}

// Objects lists, in order, every name that a Drop would have to remove: the snapshots and what was prepared.
func (s *Store) Objects() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.Collect(maps.Keys(s.snapshots))
	return slices.Sorted(slices.Values(slices.AppendSeq(names, maps.Keys(s.reserved))))
}

func (s *Store) size(source string) (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, ok := s.disks[source]
	return int64(len(content)), ok
}

func (s *Store) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, taken := s.snapshots[name]
	return taken || s.reserved[name]
}

func (s *Store) reserve(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.snapshots[name]; taken || s.reserved[name] {
		return fmt.Errorf("reserve %s: %w", name, methods.ErrExists)
	}
	s.reserved[name] = true
	return nil
}

// take turns a reserved name into a snapshot.
func (s *Store) take(ref methods.Ref) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, ok := s.disks[ref.Origin]
	if !ok {
		return fmt.Errorf("take %s of %s: %w", ref.Name, ref.Origin, methods.ErrNotFound)
	}
	delete(s.reserved, ref.Name)
	s.snapshots[ref.Name] = bytes.Clone(content)
	return nil
}

// untake takes a snapshot back that another one of its group could not follow.
func (s *Store) untake(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.snapshots, name)
	s.reserved[name] = true
}

func (s *Store) stat(name string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, ok := s.snapshots[name]
	switch {
	case !ok:
		return 0, fmt.Errorf("find snapshot %s: %w", name, methods.ErrNotFound)
	case s.broken[name]:
		return 0, fmt.Errorf("read snapshot %s: %w", name, methods.ErrBroken)
	}
	return int64(len(content)), nil
}

func (s *Store) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.snapshots, name)
	delete(s.reserved, name)
	delete(s.broken, name)
}

// restore writes a part of a snapshot over its disk.
func (s *Store) restore(source, name string, from, to int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	copy(s.disks[source][from:to], s.snapshots[name][from:to])
}

// keep makes the present of a disk a snapshot, unless it was made by an attempt before.
func (s *Store) keep(ref methods.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.snapshots[ref.Name]; !ok {
		s.snapshots[ref.Name] = bytes.Clone(s.disks[ref.Origin])
	}
}

// move gives a disk another source.
func (s *Store) move(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disks[to] = s.disks[from]
	delete(s.disks, from)
}
