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

// CheckRevert implements methods.Reverter.
func (m *Method) CheckRevert(_ context.Context, req methods.RevertRequest) (err error) {
	pair, err := m.openPair(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pair.Close()) }()
	return checkUnused(pair.disk)
}

// Revert implements methods.Reverter. The disk's file stays the same file, and the locks that QEMU would take
// are held, so that no domain starts on half of it.
func (m *Method) Revert(ctx context.Context, req methods.RevertRequest) (_ methods.Reverted, err error) {
	pair, err := m.openPair(req)
	if err != nil {
		return methods.Reverted{}, err
	}
	defer func() { err = errors.Join(err, pair.Close()) }()
	if err := lockImage(pair.disk); err != nil {
		return methods.Reverted{}, err
	}
	if err := ctx.Err(); err != nil {
		return methods.Reverted{}, err
	}
	if err := pair.share(ctx); err != nil {
		return methods.Reverted{}, fmt.Errorf("revert %s to %s: %w", req.To.Origin, req.To.Name, err)
	}
	return methods.Reverted{How: methods.HowNative}, nil
}

// pair is a snapshot's file and the disk that goes back to it.
type pair struct {
	snapshot, disk *os.File
}

// Close closes both, and so gives back the locks.
func (p *pair) Close() error { return errors.Join(p.disk.Close(), p.snapshot.Close()) }

// share gives the disk the length first: a tail behind the last whole block would be in the way of sharing.
func (p *pair) share(ctx context.Context) error {
	st, err := stat(p.snapshot)
	if err != nil {
		return err
	}
	if err := trace.Do(ctx, "btrfs: size the disk", func() error { return p.disk.Truncate(st.Size) }); err != nil {
		return err
	}
	if err := trace.Do(ctx, "btrfs: share", func() error { return cloneInto(p.disk, p.snapshot) }); err != nil {
		return err
	}
	return p.disk.Sync()
}

// openPair opens both files if they belong together. The disk is opened for writing even to check, because
// that fails for every reason for which writing would.
func (m *Method) openPair(req methods.RevertRequest) (*pair, error) {
	l, err := m.recorded(req.To)
	if err != nil {
		return nil, err
	}
	if err := checkSameDisk(req); err != nil {
		return nil, err
	}
	at, store, err := l.openStore()
	if err != nil {
		return nil, fmt.Errorf("find snapshot %s: %w", req.To.Name, err)
	}
	defer at.Close()
	defer store.Close()
	snapshot, err := l.openContent(store, req.To.Size)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %s: %w", req.To.Name, err)
	}
	disk, err := at.openDisk(unix.O_RDWR)
	if err != nil {
		return nil, errors.Join(err, snapshot.Close())
	}
	p := &pair{snapshot: snapshot, disk: disk}
	if err := p.check(l.format, req.To.Size); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func checkSameDisk(req methods.RevertRequest) error {
	now, then := req.Disk, req.To.Disk
	if now.Source == then.Source && now.Format == then.Format {
		return nil
	}
	return methods.Blockedf("disk %s is now %s (%s), it was %s (%s)",
		then.Target, now.Source, now.Format, then.Source, then.Format)
}

func (p *pair) check(format string, size int64) error {
	if err := checkSize(p.disk, format, size); err != nil {
		return methods.Blockedf("%v", err)
	}
	differ, err := noCOWDiffers(p.snapshot, p.disk)
	if err == nil && differ {
		return &methods.Blocked{
			What: fmt.Sprintf("%s and its snapshot differ in the attribute C (no copy on write)", p.disk.Name()),
			Hint: "copy the disk to a file with the attribute of the snapshot, and put that in its place",
		}
	}
	return err
}
