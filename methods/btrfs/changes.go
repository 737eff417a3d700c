package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// Probe implements methods.Prober: a qcow2 file's extents say nothing of the disk in it.
func (m *Method) Probe(_ context.Context, ref methods.Ref) (methods.Verbs, error) {
	verbs := methods.VerbsOf(m)
	verbs.Changes = ref.Disk.Format == "raw"
	return verbs, nil
}

// Changes implements methods.Differ.
func (m *Method) Changes(ctx context.Context, req methods.ChangesRequest) (_ []methods.Extent, err error) {
	s, err := m.openSides(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	extents, err := s.differing(ctx, req.From.Size)
	if err != nil {
		return nil, fmt.Errorf("compare %s with %s: %w", s.from.Name(), s.to.Name(), err)
	}
	return extents, nil
}

// sides are the two files of a comparison.
type sides struct {
	fs       filesystem
	from, to *os.File
}

// Close closes both, and so gives back their locks.
func (s *sides) Close() error { return errors.Join(s.from.Close(), s.to.Close()) }

// openSides opens both below one directory and on its mount, so they are on one file system.
func (m *Method) openSides(req methods.ChangesRequest) (*sides, error) {
	from, err := m.comparable(req.From)
	if err != nil {
		return nil, err
	}
	p, store, err := from.openStore()
	if err != nil {
		return nil, fmt.Errorf("find snapshot %s: %w", req.From.Name, err)
	}
	defer p.Close()
	defer store.Close()
	s := &sides{fs: p.fs}
	if s.from, err = from.openContent(store, req.From.Size); err != nil {
		return nil, fmt.Errorf("open snapshot %s: %w", req.From.Name, err)
	}
	if s.to, err = m.openOther(p, store, req); err != nil {
		return nil, errors.Join(err, s.from.Close())
	}
	return s, nil
}

// comparable is the location of a snapshot whose file is the disk, byte for byte.
func (m *Method) comparable(ref methods.Ref) (location, error) {
	l, err := m.recorded(ref)
	if err == nil && l.format != "raw" {
		return l, methods.Unsupportedf("the extents of a %s file say nothing of the disk in it", l.format)
	}
	return l, err
}

// openOther opens what the snapshot is compared with.
func (m *Method) openOther(p *place, store *os.File, req methods.ChangesRequest) (*os.File, error) {
	if req.To == nil {
		return openPresent(p, req)
	}
	to, err := m.comparable(*req.To)
	if err != nil {
		return nil, err
	}
	if req.To.Disk.Source != req.From.Disk.Source {
		return nil, methods.Unsupportedf("%s and %s are snapshots of two disks", req.From.Name, req.To.Name)
	}
	f, err := to.openContent(store, req.From.Size)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %s: %w", req.To.Name, err)
	}
	return f, nil
}

func openPresent(p *place, req methods.ChangesRequest) (*os.File, error) {
	now, then := req.Disk, req.From.Disk
	if now.Source != then.Source || now.Format != then.Format {
		return nil, methods.Unsupportedf("disk %s is now %s, and %s is a snapshot of %s",
			then.Target, now.Source, req.From.Name, then.Source)
	}
	f, err := p.openDisk(unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	if err := checkSize(f, then.Format, req.From.Size); err != nil {
		return nil, errors.Join(methods.Blockedf("%v", err), f.Close())
	}
	return f, nil
}

// differing looks at one side once more after the other: an address that it had all the time was not another's in
// between, however much the file system moves.
func (s *sides) differing(ctx context.Context, size int64) ([]methods.Extent, error) {
	if err := s.checkDevice(); err != nil {
		return nil, err
	}
	from, err := s.extents(ctx, s.from, size)
	if err != nil {
		return nil, err
	}
	to, err := s.extents(ctx, s.to, size)
	if err != nil {
		return nil, err
	}
	again, err := s.extents(ctx, s.from, size)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(from, again) {
		return nil, methods.Unsupportedf("the file system is moving the extents of %s", s.from.Name())
	}
	return differing(from, to, size), nil
}

// checkDevice wants both files in one address space: XFS has two where it has a realtime device. On btrfs
// an address is the file system's, whatever its devices are.
func (s *sides) checkDevice() error {
	if s.fs != onXFS {
		return nil
	}
	a, errA := realtime(s.from)
	b, errB := realtime(s.to)
	if err := errors.Join(errA, errB); err != nil {
		return fmt.Errorf("find their devices: %w", err)
	}
	if a != b {
		return methods.Unsupportedf("one of them is on the realtime device")
	}
	return nil
}

// extents lists a file's extents, on btrfs with a second look where FIEMAP leaves something open.
func (s *sides) extents(ctx context.Context, f *os.File, size int64) ([]extent, error) {
	mapped, err := fiemap(ctx, f, size)
	if err != nil || s.fs != onBtrfs || !slices.ContainsFunc(mapped, isUnknown) {
		return mapped, err
	}
	items, err := fileExtents(ctx, f, size)
	if errors.Is(err, unix.EPERM) {
		return mapped, nil
	}
	return items, err
}

func isUnknown(e extent) bool { return e.kind == unknown }
