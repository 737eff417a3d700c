package btrfs

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// CheckRevert implements methods.Reverter.
func (m *Method) CheckRevert(_ context.Context, req methods.RevertRequest) (err error) {
	s, err := m.openPair(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return checkUnused(s.to)
}

// Revert implements methods.Reverter. The disk's file stays the same file, and the locks that QEMU would take
// are held, so that no domain starts on half of it.
func (m *Method) Revert(ctx context.Context, req methods.RevertRequest) (_ methods.Reverted, err error) {
	s, err := m.openPair(req)
	if err != nil {
		return methods.Reverted{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := lockImage(s.to); err != nil {
		return methods.Reverted{}, err
	}
	if err := ctx.Err(); err != nil {
		return methods.Reverted{}, err
	}
	if err := s.share(ctx); err != nil {
		return methods.Reverted{}, fmt.Errorf("revert %s to %s: %w", req.To.Origin, req.To.Name, err)
	}
	return methods.Reverted{How: methods.HowNative}, nil
}

// openPair opens a snapshot's file and the disk that goes back to it, if they belong together. The disk is opened for
// writing even to check, because that fails for every reason for which writing would.
func (m *Method) openPair(req methods.RevertRequest) (*sides, error) {
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
	s := &sides{fs: at.fs, from: snapshot, to: disk}
	if err := s.checkPair(l.format, req.To.Size); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func checkSameDisk(req methods.RevertRequest) error {
	now, then := req.Disk, req.To.Disk
	if now.Source == then.Source && now.Format == then.Format {
		return nil
	}
	return methods.Blockedf("disk %s is now %s (%s), it was %s (%s)",
		then.Target, now.Source, now.Format, then.Source, then.Format)
}

func (s *sides) checkPair(format string, size int64) error {
	if err := checkSize(s.to, format, size); err != nil {
		return methods.Blockedf("%v", err)
	}
	differ, err := noCOWDiffers(s.from, s.to)
	if err == nil && differ {
		return &methods.Blocked{
			What: fmt.Sprintf("%s and its snapshot differ in the attribute C (no copy on write)", s.to.Name()),
			Hint: "copy the disk to a file with the attribute of the snapshot, and put that in its place",
		}
	}
	return err
}
