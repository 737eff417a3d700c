package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/durable"
)

const (
	manifestName = "manifest.json"
	lockName     = "lock"
	dataSuffix   = ".img"
	sumsSuffix   = ".sums"
)

// Store is a directory of replicas of this host.
type Store struct {
	dir string
	// root is the directory; without a Root where it is not there yet.
	root folder
}

// OpenStore opens a directory. Where that is missing, in a directory that is there, it holds nothing, and the first replica makes
// it.
func OpenStore(dir string) (*Store, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("open store of replicas: %q is no absolute path", dir)
	}
	s := &Store{dir: dir}
	err := s.open()
	if errors.Is(err, fs.ErrNotExist) {
		if _, err = os.Stat(filepath.Dir(dir)); errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s: %w", filepath.Dir(dir), methods.ErrNotFound)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open store of replicas: %w", err)
	}
	return s, nil
}

func (s *Store) open() error {
	root, err := os.OpenRoot(s.dir)
	s.root = folder{root}
	return err
}

// make makes the directory where it is missing.
func (s *Store) make() error {
	if s.root.Root != nil {
		return nil
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return errors.Join(durable.Disk{Dir: filepath.Dir(s.dir)}.Sync(), s.open())
}

// Close implements Place.
func (s *Store) Close() error {
	if s.root.Root == nil {
		return nil
	}
	return s.root.Close()
}

// List implements Place.
func (s *Store) List(ctx context.Context, uuid string) ([]Manifest, error) {
	uuids := []string{uuid}
	if s.root.Root == nil {
		return []Manifest{}, nil
	}
	if uuid == "" {
		var err error
		if uuids, err = s.root.entries(uuidPattern.MatchString); err != nil {
			return nil, fmt.Errorf("list replicas: %w", err)
		}
	}
	all := []Manifest{}
	for _, u := range uuids {
		of, err := s.listDomain(ctx, u)
		if err != nil {
			return nil, fmt.Errorf("list replicas: %w", err)
		}
		all = append(all, of...)
	}
	slices.SortStableFunc(all, func(a, b Manifest) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Snapshot, b.Snapshot))
	})
	return all, nil
}

func (s *Store) listDomain(ctx context.Context, uuid string) ([]Manifest, error) {
	if !uuidPattern.MatchString(uuid) {
		return nil, fmt.Errorf("%.64q is no UUID", uuid)
	}
	domain, err := s.root.within(uuid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer domain.Close()
	ids, err := domain.entries(methods.IsSnapshotID)
	var all []Manifest
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if m := listed(domain, Key{uuid, id}); m != nil {
			all = append(all, *m)
		}
	}
	return all, err
}

// listed is nil for what is not begun yet, or nearly gone.
func listed(domain folder, k Key) *Manifest {
	f, err := domain.within(k.Snapshot)
	if err != nil {
		return nil
	}
	defer f.Close()
	m, err := readManifest(f, k)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &Manifest{Key: k, State: Broken, Disks: []Disk{}}
	}
	return m
}

func readManifest(f folder, k Key) (*Manifest, error) {
	file, err := f.regular(manifestName, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text := make([]byte, maxManifest+1)
	n, err := file.ReadAt(text, 0)
	if n == 0 {
		return nil, err
	}
	m, err := Parse(text[:n])
	if err == nil && m.Key != k {
		err = errors.New("read manifest: it is that of another replica")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", methods.ErrBroken, err)
	}
	return m, nil
}

func writeManifest(f folder, m *Manifest) error {
	text, err := m.Marshal()
	if err != nil {
		return err
	}
	return durable.Replace(f, manifestName, text)
}

// lock keeps others from working on the domain's replicas.
func lock(domain folder) (*os.File, error) {
	f, err := domain.regular(lockName, os.O_CREATE|os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(methods.Blockedf("somebody else is at work on the replicas of this domain"), f.Close())
	}
	return f, nil
}

// within opens a directory of the store.
func (s *Store) within(name string) (folder, error) {
	if s.root.Root == nil {
		return folder{}, fs.ErrNotExist
	}
	return s.root.within(name)
}

// complete opens a replica that can be used.
func (s *Store) complete(k Key) (folder, *Manifest, error) {
	if err := k.Check(); err != nil {
		return folder{}, nil, err
	}
	f, err := s.within(filepath.Join(k.Domain, k.Snapshot))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("replica of snapshot %s: %w", k.Snapshot, methods.ErrNotFound)
	}
	if err != nil {
		return folder{}, nil, err
	}
	m, err := readManifest(f, k)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("replica of snapshot %s: %w", k.Snapshot, methods.ErrNotFound)
	case err == nil && m.State != Complete:
		err = methods.Blockedf("the replica of snapshot %s is %s: it is not whole yet", k.Snapshot, m.State)
	}
	if err != nil {
		return folder{}, nil, errors.Join(err, f.Close())
	}
	return f, m, nil
}

// Open implements Place.
func (s *Store) Open(_ context.Context, k Key, disk string) (methods.Content, error) {
	f, m, err := s.complete(k)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, ok := m.Disk(disk)
	if !ok {
		return nil, fmt.Errorf("disk %.64q of the replica: %w", disk, methods.ErrNotFound)
	}
	file, err := f.regular(d.Target+dataSuffix, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return methods.Bounded(file, d.Size), nil
}

// Remove implements Place.
func (s *Store) Remove(_ context.Context, k Key) error {
	if err := k.Check(); err != nil {
		return err
	}
	domain, err := s.within(k.Domain)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove replica: %w", err)
	}
	defer domain.Close()
	held, err := lock(domain)
	if err != nil {
		return err
	}
	defer held.Close()
	if err := remove(domain, k.Snapshot); err != nil {
		return fmt.Errorf("remove replica: %w", err)
	}
	return nil
}

// remove takes the manifest first: what is left without it means nothing.
func remove(domain folder, id string) error {
	err := domain.Remove(filepath.Join(id, manifestName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := domain.within(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(domain.RemoveAll(id), domain.Sync())
}

var _ Place = (*Store)(nil)
