package btrfs

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// The direction bits of a request number differ between architectures; these are taken from two requests
// that x/sys knows.
const (
	ioctlNumber = 1<<29 - 1
	ioctlWrite  = unix.FICLONE &^ ioctlNumber
	ioctlRead   = unix.FS_IOC_GETFLAGS &^ ioctlNumber
)

const (
	snapCreateV2 = ioctlWrite | volArgsSize<<16 | 0x94<<8 | 23
	fsInfo       = ioctlRead | fsInfoSize<<16 | 0x94<<8 | 31
	snapDestroy  = ioctlWrite | volArgsSize<<16 | 0x94<<8 | 15
	xfsGeometry  = ioctlRead | xfsGeometrySize<<16 | 'X'<<8 | 124
	getXattr     = ioctlRead | fsxattrSize<<16 | 'X'<<8 | 31

	volArgsSize     = 4096
	fsInfoSize      = 1024
	xfsGeometrySize = 112
	fsxattrSize     = 28

	snapReadOnly = 1 << 1
	// subvolumeInode is the inode number of every subvolume's root directory, and of nothing else's.
	subvolumeInode = 256
	// noCOW is the file attribute C of chattr.
	noCOW         = 0x00800000
	xfsHasReflink = 1 << 20
	// onRealtime: the file's data is on the realtime device.
	onRealtime = 1 << 0
)

// snapCreateArgs is struct btrfs_ioctl_vol_args_v2.
type snapCreateArgs struct {
	fd      int64
	transid uint64
	flags   uint64
	_       [4]uint64
	name    [4040]byte
}

// snapDestroyArgs is struct btrfs_ioctl_vol_args.
type snapDestroyArgs struct {
	fd   int64
	name [4088]byte
}

// fsInfoArgs is struct btrfs_ioctl_fs_info_args, as far as it matters.
type fsInfoArgs struct {
	_    [2]uint64
	fsid [16]byte
	_    [992]byte
}

// xfsGeometryArgs is struct xfs_fsop_geom_v4, as far as it matters.
type xfsGeometryArgs struct {
	_     [92]byte
	flags uint32
	_     [16]byte
}

// fsxattr is struct fsxattr, as far as it matters.
type fsxattr struct {
	flags uint32
	_     [24]byte
}

func ioctl(f *os.File, request uintptr, args unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(args)); errno != 0 {
		return errno
	}
	return nil
}

// createSnapshot makes a read-only snapshot of the subvolume in the store, and commits it to disk.
func createSnapshot(store, subvolume *os.File, name string) error {
	args := snapCreateArgs{fd: int64(subvolume.Fd()), flags: snapReadOnly}
	copy(args.name[:len(args.name)-1], name)
	return ioctl(store, snapCreateV2, unsafe.Pointer(&args))
}

// destroySubvolume fails with EINVAL when the name is not a subvolume.
func destroySubvolume(store *os.File, name string) error {
	var args snapDestroyArgs
	copy(args.name[:len(args.name)-1], name)
	return ioctl(store, snapDestroy, unsafe.Pointer(&args))
}

// uuidOf is the UUID of the btrfs that the directory is on.
func uuidOf(dir *os.File) (string, error) {
	var args fsInfoArgs
	if err := ioctl(dir, fsInfo, unsafe.Pointer(&args)); err != nil {
		return "", err
	}
	id := args.fsid
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]), nil
}

func xfsFlags(f *os.File) (uint32, error) {
	var args xfsGeometryArgs
	err := ioctl(f, xfsGeometry, unsafe.Pointer(&args))
	return args.flags, err
}

func realtime(f *os.File) (bool, error) {
	var args fsxattr
	err := ioctl(f, getXattr, unsafe.Pointer(&args))
	return args.flags&onRealtime != 0, err
}

func attributes(f *os.File) (uint32, error) {
	return unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
}

func setAttributes(f *os.File, flags uint32) error {
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags))
}

// cloneRange shares an extent of whole blocks; one without a length goes to the end.
func cloneRange(dst, src *os.File, e methods.Extent) error {
	return unix.IoctlFileCloneRange(int(dst.Fd()), &unix.FileCloneRange{
		Src_fd: int64(src.Fd()), Src_offset: uint64(e.Offset), Src_length: uint64(e.Length), Dest_offset: uint64(e.Offset),
	})
}

func cloneInto(dst, src *os.File) error {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd()))
}
