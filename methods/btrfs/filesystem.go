package btrfs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// filesystem is what a file system can do for snapshots.
type filesystem int

const (
	// onOther shares no extents, or nobody has tried.
	onOther filesystem = iota
	onBtrfs
	onXFS
)

func (f filesystem) String() string {
	return [...]string{"another file system", "btrfs", "XFS with reflink"}[f]
}

func filesystemOf(dir *os.File) (filesystem, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return onOther, fmt.Errorf("look at the file system of %s: %w", dir.Name(), err)
	}
	switch uint32(st.Type) {
	case unix.BTRFS_SUPER_MAGIC:
		return onBtrfs, nil
	case unix.XFS_SUPER_MAGIC:
		return xfsKind(dir)
	}
	return onOther, nil
}

func xfsKind(dir *os.File) (filesystem, error) {
	flags, err := xfsFlags(dir)
	if err != nil {
		return onOther, fmt.Errorf("read the XFS geometry of %s: %w", dir.Name(), err)
	}
	if flags&xfsHasReflink == 0 {
		return onOther, nil
	}
	return onXFS, nil
}

// freeBytes is the room that is left.
func freeBytes(dir *os.File) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return 0, fmt.Errorf("ask for the room below %s: %w", dir.Name(), err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}
