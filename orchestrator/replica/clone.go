package replica

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// clone gives a new file the content of another one: its extents, or a copy of what is not a hole.
func clone(to, from *os.File) error {
	if unix.IoctlFileClone(int(to.Fd()), int(from.Fd())) == nil {
		return nil
	}
	info, err := from.Stat()
	if err != nil {
		return err
	}
	if err := to.Truncate(info.Size()); err != nil {
		return err
	}
	return eachData(from, info.Size(), func(at, length int64) error {
		_, err := io.Copy(io.NewOffsetWriter(to, at), io.NewSectionReader(from, at, length))
		return err
	})
}

// eachData goes over what of a file is not a hole.
func eachData(f *os.File, size int64, do func(at, length int64) error) error {
	for at := int64(0); at < size; {
		begin, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		end := size
		if err == nil {
			end, err = unix.Seek(int(f.Fd()), begin, unix.SEEK_HOLE)
		}
		if err != nil {
			return fmt.Errorf("find the data of %s: %w", f.Name(), err)
		}
		if err := do(begin, end-begin); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// inPlace is FS_NOCOW_FL of linux/fs.h.
const inPlace = 0x00800000

// hasChecksums says that the file system finds by itself what does not stay as it was written: btrfs does, but for files that it
// writes in place.
func hasChecksums(f *os.File) bool {
	var st unix.Statfs_t
	if unix.Fstatfs(int(f.Fd()), &st) != nil || st.Type != unix.BTRFS_SUPER_MAGIC {
		return false
	}
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	return err == nil && flags&inPlace == 0
}

// punch makes a hole, or writes zeroes where there are none to be had.
func punch(f *os.File, at, length int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, length)
	if errors.Is(err, unix.EOPNOTSUPP) {
		_, err = f.WriteAt(zeroChunk[:length], at)
	}
	return err
}
