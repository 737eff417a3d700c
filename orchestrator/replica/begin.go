package replica

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
)

// Begin implements Place.
func (s *Store) Begin(ctx context.Context, m Manifest) (_ Inbox, err error) {
	if m, err = m.Begun(); err != nil {
		return nil, err
	}
	if err := s.make(); err != nil {
		return nil, fmt.Errorf("begin replica: %w", err)
	}
	domain, err := s.root.make(m.Domain)
	if err != nil {
		return nil, fmt.Errorf("begin replica: %w", err)
	}
	b := &inbox{domain: domain, manifest: m, disks: map[string]*inboundDisk{}}
	begun := false
	defer func() {
		if !begun {
			err = errors.Join(fmt.Errorf("begin replica of snapshot %s: %w", m.Name, err), b.Close())
		}
	}()
	if b.locked, err = lock(domain); err != nil {
		return nil, err
	}
	if err := b.sweep(); err != nil {
		return nil, err
	}
	err = b.begin(ctx)
	begun = err == nil
	return b, err
}

// sweep takes away what was not begun, or was on its way out, when somebody was killed.
func (b *inbox) sweep() error {
	ids, err := b.domain.entries(methods.IsSnapshotID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		f, err := b.domain.within(id)
		if err != nil {
			return err
		}
		_, err = f.Lstat(manifestName)
		if err := f.Close(); err != nil {
			return err
		}
		if errors.Is(err, fs.ErrNotExist) {
			if err := remove(b.domain, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin goes on with what is there, where that is the same replica, and else begins anew.
func (b *inbox) begin(ctx context.Context) (err error) {
	if b.own, err = b.domain.make(b.manifest.Snapshot); err != nil {
		return err
	}
	there, err := readManifest(b.own, b.manifest.Key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return b.anew(ctx)
	case err != nil:
		return err
	case there.State == Complete:
		if !there.Covers(&b.manifest) {
			return methods.Blockedf("there is a replica of snapshot %s with other disks", there.Name)
		}
		b.manifest = *there
		return nil
	case !there.Prepared || len(there.Disks) != len(b.manifest.Disks) || !there.Covers(&b.manifest):
		return b.anew(ctx)
	}
	b.manifest = *there
	return b.open(os.O_RDWR)
}

// anew makes every disk what it begins as. A manifest that says so is the last.
func (b *inbox) anew(ctx context.Context) error {
	if err := b.own.Close(); err != nil {
		return err
	}
	var err error
	if err = remove(b.domain, b.manifest.Snapshot); err != nil {
		return err
	}
	if b.own, err = b.domain.make(b.manifest.Snapshot); err != nil {
		return err
	}
	base, err := b.base()
	if err != nil {
		return err
	}
	if base == nil {
		b.manifest.Base = ""
	} else {
		defer base.Close()
	}
	if err := b.write(ctx); err != nil {
		return err
	}
	if err := b.open(os.O_CREATE | os.O_EXCL | os.O_RDWR); err != nil {
		return err
	}
	for _, d := range b.manifest.Disks {
		if err := trace.Do(ctx, "prepare a replica's disk", func() error { return b.disks[d.Target].prepare(base) }); err != nil {
			return fmt.Errorf("prepare disk %s: %w", d.Target, err)
		}
	}
	if err := b.own.Sync(); err != nil {
		return err
	}
	b.manifest.Prepared = true
	return b.write(ctx)
}

// base is the replica that this one begins as; nil where there is none that can be used.
func (b *inbox) base() (*baseReplica, error) {
	if b.manifest.Base == "" {
		return nil, nil
	}
	f, err := b.domain.within(b.manifest.Base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := readManifest(f, Key{b.manifest.Domain, b.manifest.Base})
	if err != nil || m.State != Complete {
		return nil, f.Close()
	}
	for _, d := range b.manifest.Disks {
		if t, ok := m.Disk(d.Target); ok && t.Size != d.Size {
			return nil, f.Close()
		}
	}
	return &baseReplica{f, m}, nil
}

// baseReplica is a complete replica that others begin as.
type baseReplica struct {
	folder
	*Manifest
}

// open opens the files of all disks.
func (b *inbox) open(flags int) error {
	for i := range b.manifest.Disks {
		d := &inboundDisk{Disk: &b.manifest.Disks[i], pending: Pending{}}
		var err error
		if d.data, err = b.own.regular(d.Target+dataSuffix, flags); err != nil {
			return err
		}
		b.disks[d.Target] = d
		if d.sums, err = b.own.regular(d.Target+sumsSuffix, flags); err != nil {
			return err
		}
	}
	return nil
}

// prepare gives a disk the content of the base, where that has it.
func (d *inboundDisk) prepare(base *baseReplica) error {
	if err := d.clone(base); err != nil {
		return err
	}
	if err := errors.Join(d.data.Truncate(d.Size), d.sums.Truncate(Chunks(d.Size)*SumSize)); err != nil {
		return err
	}
	return errors.Join(d.data.Sync(), d.sums.Sync())
}

func (d *inboundDisk) clone(base *baseReplica) error {
	if base == nil {
		return nil
	}
	if _, d.Based = base.Disk(d.Target); !d.Based {
		return nil
	}
	return errors.Join(base.cloneTo(d.data, d.Target+dataSuffix), base.cloneTo(d.sums, d.Target+sumsSuffix))
}

func (b *baseReplica) cloneTo(to *os.File, name string) error {
	from, err := b.regular(name, os.O_RDONLY)
	if err != nil {
		return err
	}
	return errors.Join(clone(to, from), from.Close())
}
