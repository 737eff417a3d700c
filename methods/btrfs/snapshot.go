package btrfs

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// Stat implements methods.Method. How much room is shared only a walk over all extents would tell.
func (m *Method) Stat(_ context.Context, ref methods.Ref) (methods.Info, error) {
	l, err := m.recorded(ref)
	if err != nil {
		return methods.Info{}, err
	}
	if err := l.check(ref.Size); err != nil {
		return methods.Info{}, fmt.Errorf("find snapshot %s: %w", ref.Name, err)
	}
	return methods.Info{BytesUsed: -1}, nil
}

// Source implements methods.Sourcer. It does not look whether the snapshot is there.
func (m *Method) Source(_ context.Context, ref methods.Ref) (methods.BackupSource, error) {
	l, err := m.recorded(ref)
	if err != nil {
		return methods.BackupSource{}, err
	}
	var escaped bytes.Buffer
	if err := xml.EscapeText(&escaped, []byte(l.file())); err != nil {
		return methods.BackupSource{}, err
	}
	return methods.BackupSource{
		XML:    fmt.Sprintf("<source file='%s'/>", escaped.String()),
		URI:    l.file(),
		Format: ref.Disk.Format,
	}, nil
}

// Drop implements methods.Method. It goes by what was recorded, wherever the disk is now.
func (m *Method) Drop(ctx context.Context, req methods.DropRequest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l, err := m.recorded(req.Ref)
	if err != nil {
		return err
	}
	if err := l.drop(); err != nil && !errors.Is(err, methods.ErrNotFound) {
		return fmt.Errorf("drop snapshot %s: %w", req.Ref.Name, err)
	}
	return nil
}

// CheckDrop implements methods.DropChecker.
func (m *Method) CheckDrop(_ context.Context, req methods.DropRequest) error {
	l, err := m.recorded(req.Ref)
	if err != nil {
		return err
	}
	p, store, err := l.openStore()
	if errors.Is(err, methods.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for snapshot %s: %w", req.Ref.Name, err)
	}
	return errors.Join(store.Close(), p.Close())
}

func (l location) drop() error {
	p, store, err := l.openStore()
	if err != nil {
		return err
	}
	defer p.Close()
	defer store.Close()
	err = l.way.remove(store, l.entry)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	if err := store.Sync(); err != nil {
		return err
	}
	return p.dropStore(store)
}

// openStore fails with ErrNotFound when the store or its directory is gone, and with ErrBlocked when the file
// system is another one: then the disk's own is most likely not mounted.
func (l location) openStore() (*place, *os.File, error) {
	p, err := openPlace(l.origin)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, methods.ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	if p.fs == onOther {
		err := &methods.Blocked{What: p.dir.Name() + " is on another file system than it was", Hint: "mount it"}
		return nil, nil, errors.Join(err, p.Close())
	}
	store, err := p.openStore()
	if errors.Is(err, os.ErrNotExist) {
		err = methods.ErrNotFound
	}
	if err != nil {
		return nil, nil, errors.Join(err, p.Close())
	}
	return p, store, nil
}

func (l location) check(size int64) error {
	f, err := l.openFile(size)
	if err != nil {
		return err
	}
	return f.Close()
}
