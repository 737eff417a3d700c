package btrfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// reflink keeps a read-only file that shares the extents of the disk's file.
type reflink struct{}

func (reflink) mode() string { return "reflink" }

func (reflink) entry(name, format string) string { return name + "." + format }

func (reflink) content(entry, _ string) string { return entry }

// prepare makes the file without a name, which the act gives it last: a name always has its content, and
// a crash before leaves nothing.
func (reflink) prepare(h *held, entry string) (act, error) {
	twin, err := newTwin(h.store, h.disk)
	if err != nil {
		return nil, err
	}
	h.twin = twin
	if err := rehearse(twin, h.disk); err != nil {
		return nil, err
	}
	unnamed := fmt.Sprintf("/proc/self/fd/%d", twin.Fd())
	return func() error {
		if err := cloneInto(twin, h.disk); err != nil {
			return err
		}
		return unix.Linkat(unix.AT_FDCWD, unnamed, int(h.store.Fd()), entry, unix.AT_SYMLINK_FOLLOW)
	}, nil
}

func (reflink) remove(store *os.File, entry string) error {
	return unix.Unlinkat(int(store.Fd()), entry, 0)
}

// newTwin makes an unnamed empty file that may share extents with the disk's.
func newTwin(store, disk *os.File) (*os.File, error) {
	flags := unix.O_TMPFILE | unix.O_RDWR | unix.O_CLOEXEC
	fd, err := unix.Openat(int(store.Fd()), ".", flags, 0o400)
	if err != nil {
		return nil, fmt.Errorf("make a file in %s: %w", store.Name(), err)
	}
	twin := os.NewFile(uintptr(fd), store.Name())
	if err := errors.Join(copyNoCOW(twin, disk), markTwin(twin, filepath.Base(disk.Name()))); err != nil {
		return nil, errors.Join(err, twin.Close())
	}
	return twin, nil
}

// copyNoCOW gives an empty file the disk's attribute C, because files with and without it share nothing.
func copyNoCOW(twin, disk *os.File) error {
	differ, err := noCOWDiffers(twin, disk)
	if err != nil || !differ {
		return err
	}
	flags, err := attributes(twin)
	if err != nil {
		return fmt.Errorf("read the attributes of a new file in %s: %w", twin.Name(), err)
	}
	if err := setAttributes(twin, flags^noCOW); err != nil {
		return fmt.Errorf("set the attribute C of a new file in %s: %w", twin.Name(), err)
	}
	return nil
}

func noCOWDiffers(a, b *os.File) (bool, error) {
	ofA, err := attributes(a)
	if err != nil {
		return false, fmt.Errorf("read the attributes of %s: %w", a.Name(), err)
	}
	ofB, err := attributes(b)
	if err != nil {
		return false, fmt.Errorf("read the attributes of %s: %w", b.Name(), err)
	}
	return (ofA^ofB)&noCOW != 0, nil
}

// rehearse shares the first bytes, so that whatever the file system has against it shows before the guest
// is held. The act replaces them.
func rehearse(twin, disk *os.File) error {
	const first = 64 << 10
	st, err := stat(disk)
	if err != nil || st.Size < first {
		return err
	}
	err = unix.IoctlFileCloneRange(int(twin.Fd()), &unix.FileCloneRange{
		Src_fd: int64(disk.Fd()), Src_length: first,
	})
	if err != nil {
		return methods.Blockedf("%s cannot share its extents with a file next to it: %v", disk.Name(), err)
	}
	return nil
}
