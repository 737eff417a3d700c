package btrfs

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// QEMU locks a byte from 100 on for each right it uses on an image, and one from 200 on for each it does not
// grant to others.
const (
	firstLock = 100
	lockCount = 200
)

// checkUnused fails with ErrBlocked when QEMU or one of its tools has the image open.
func checkUnused(image *os.File) error {
	lock := imageLock()
	if err := unix.FcntlFlock(image.Fd(), unix.F_OFD_GETLK, &lock); err != nil {
		return fmt.Errorf("ask for the locks of %s: %w", image.Name(), err)
	}
	if lock.Type != unix.F_UNLCK {
		return inUse(image)
	}
	return nil
}

// lockImage keeps every QEMU away until the file is closed.
func lockImage(image *os.File) error {
	lock := imageLock()
	err := unix.FcntlFlock(image.Fd(), unix.F_OFD_SETLK, &lock)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return inUse(image)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", image.Name(), err)
	}
	return nil
}

func imageLock() unix.Flock_t {
	return unix.Flock_t{Type: unix.F_WRLCK, Whence: unix.SEEK_SET, Start: firstLock, Len: lockCount}
}

func inUse(image *os.File) error {
	return &methods.Blocked{
		What: image.Name() + " is in use",
		Hint: "find who has it open with: fuser -v " + image.Name(),
	}
}
