package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// Plan implements methods.Method. The methods know no options.
func (m *Method) Plan(_ context.Context, req methods.PlanRequest) (methods.Ref, error) {
	if err := methods.Decode(req.Spec, &struct{}{}); err != nil {
		return methods.Ref{}, err
	}
	if err := checkDisk(req.Disk); err != nil {
		return methods.Ref{}, err
	}
	p, err := openPlace(req.Disk.Source.File)
	if errors.Is(err, os.ErrNotExist) {
		return methods.Ref{}, methods.Blockedf("the disk's directory is missing: %v", err)
	}
	if err != nil {
		return methods.Ref{}, err
	}
	defer p.Close()
	ref, err := m.planAt(p, req)
	if err != nil {
		return methods.Ref{}, fmt.Errorf("plan snapshot of %s: %w", req.Disk.Source.File, err)
	}
	return ref, nil
}

func (m *Method) planAt(p *place, req methods.PlanRequest) (methods.Ref, error) {
	alone, err := p.alone()
	if err != nil {
		return methods.Ref{}, err
	}
	w, err := m.choose(p.fs, alone)
	if err != nil {
		return methods.Ref{}, err
	}
	l, err := locate(w, req.ID, req.Disk)
	if err != nil {
		return methods.Ref{}, err
	}
	size, err := p.diskSize(req.Disk.Format)
	if err != nil {
		return methods.Ref{}, err
	}
	if err := errors.Join(p.checkWritable(), p.checkRoom(), p.checkStore(l.entry)); err != nil {
		return methods.Ref{}, err
	}
	return methods.Ref{
		Snapshot: req.ID, Method: m.traits.Name, Mode: w.mode(), Disk: req.Disk,
		Origin: l.origin, Name: l.path(), Size: size, Lock: l.origin,
	}, nil
}

func (p *place) diskSize(format string) (int64, error) {
	disk, err := p.openDisk(unix.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer disk.Close()
	return capacity(disk, format)
}

// checkStore fails with ErrExists when the name is taken. No store at all is fine: Prepare makes it.
func (p *place) checkStore(entry string) error {
	store, err := p.openStore()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer store.Close()
	return checkFree(store, entry)
}
