package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
)

// Take implements methods.Method.
func (m *Method) Take(ctx context.Context, ref methods.Ref) error {
	return methods.TakeNow(ctx, m, ref)
}

// Prepare opens everything and writes out what the host has cached of the disk. Until Take there is nothing
// of the snapshot but an empty directory.
func (m *Method) Prepare(ctx context.Context, refs []methods.Ref) (methods.Prepared, error) {
	if len(refs) != 1 {
		return nil, fmt.Errorf("prepare %d snapshots: want one at a time", len(refs))
	}
	l, err := m.recorded(refs[0])
	if err != nil {
		return nil, err
	}
	p := &prepared{location: l}
	if err := p.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare snapshot %s: %w", l.path(), err), p.held.Close())
	}
	return p, nil
}

// held is what stays open from Prepare to Close. A way with a file of its own adds it as twin.
type held struct {
	dir, store, disk, twin *os.File
}

// Close closes what is open.
func (h *held) Close() error {
	var errs []error
	for _, f := range []*os.File{h.twin, h.disk, h.store, h.dir} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// sync makes the snapshot last, name and all.
func (h *held) sync() error {
	for _, f := range []*os.File{h.twin, h.store, h.dir} {
		if f == nil {
			continue
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("write out %s: %w", f.Name(), err)
		}
	}
	return nil
}

type prepared struct {
	location
	held
	act   act
	taken bool
}

func (p *prepared) open(ctx context.Context) error {
	at, err := openPlace(p.origin)
	if err != nil {
		return err
	}
	p.dir = at.dir
	if p.disk, err = at.openDisk(unix.O_RDONLY); err != nil {
		return err
	}
	if p.store, err = at.makeStore(ctx); err != nil {
		return err
	}
	if err := checkFree(p.store, p.entry); err != nil {
		return err
	}
	if err := p.disk.Sync(); err != nil {
		return fmt.Errorf("write out the disk: %w", err)
	}
	p.act, err = p.way.prepare(&p.held, p.entry)
	return err
}

// Take implements methods.Prepared.
func (p *prepared) Take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := trace.Do(ctx, "btrfs: take", p.act)
	if errors.Is(err, unix.EEXIST) {
		err = methods.ErrExists
	}
	if err != nil {
		return fmt.Errorf("take snapshot %s: %w", p.path(), err)
	}
	p.taken = true
	return nil
}

// Close writes the snapshot out as well, because in Take the guest would wait for it.
func (p *prepared) Close(context.Context) error {
	var err error
	if p.taken {
		err = p.sync()
	}
	return errors.Join(err, p.held.Close())
}

// checkFree fails with ErrExists when the store has the name.
func checkFree(store *os.File, entry string) error {
	there, err := lookup(store, entry)
	if err == nil && there {
		return fmt.Errorf("%s in %s: %w", entry, store.Name(), methods.ErrExists)
	}
	return err
}
