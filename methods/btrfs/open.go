package btrfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// beneath keeps a name inside the directory it is looked up in, and on its mount: so two files opened
// below one directory are always on one file system.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// openBeneath follows no symbolic link and does not wait for the other end of a pipe.
func openBeneath(dir *os.File, name string, flags int) (*os.File, error) {
	path := filepath.Join(dir.Name(), name)
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC),
		Resolve: beneath,
	}
	fd, err := unix.Openat2(int(dir.Fd()), name, &how)
	switch {
	case err == nil:
		return os.NewFile(uintptr(fd), path), nil
	case errors.Is(err, unix.ELOOP):
		return nil, methods.Blockedf("%s is a symbolic link", path)
	case errors.Is(err, unix.EXDEV):
		return nil, methods.Blockedf("something is mounted on %s", path)
	case errors.Is(err, unix.ENOTDIR):
		return nil, methods.Blockedf("%s is not a directory", path)
	}
	return nil, &os.PathError{Op: "open", Path: path, Err: err}
}

// openRegular opens a regular file and nothing else.
func openRegular(dir *os.File, name string, flags int) (*os.File, error) {
	f, err := openBeneath(dir, name, flags)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = methods.Blockedf("%s is not a regular file", f.Name())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lookup says whether the directory has the name. A symbolic link is a name too.
func lookup(dir *os.File, name string) (bool, error) {
	var st unix.Stat_t
	err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for %s in %s: %w", name, dir.Name(), err)
	}
	return true, nil
}

func stat(f *os.File) (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return st, fmt.Errorf("look at %s: %w", f.Name(), err)
	}
	return st, nil
}
