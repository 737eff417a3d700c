package btrfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// minFree is the room for the maps that a snapshot doubles.
const minFree = 16 << 20

// place is the directory a disk's file lies in. It is held open, and everything is looked up from it, so
// that nobody can change what a path means in between.
type place struct {
	dir  *os.File
	base string
	fs   filesystem
}

// openPlace may follow symbolic links to the directory: those belong to the administrator.
func openPlace(file string) (*place, error) {
	dir, err := os.OpenFile(filepath.Dir(file), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	fs, err := filesystemOf(dir)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &place{dir: dir, base: filepath.Base(file), fs: fs}, nil
}

// Close lets go of the directory.
func (p *place) Close() error { return p.dir.Close() }

// openDisk fails with ErrBlocked when there is no such file or it is not a plain one.
func (p *place) openDisk(flags int) (*os.File, error) {
	f, err := openRegular(p.dir, p.base, flags)
	if errors.Is(err, os.ErrNotExist) {
		return nil, methods.Blockedf("the disk's file %s is missing", filepath.Join(p.dir.Name(), p.base))
	}
	return f, err
}

// alone says whether the disk is all there is in a subvolume. Hidden names do not count: they are what tools
// like this one put next to a disk.
func (p *place) alone() (bool, error) {
	if p.fs != onBtrfs {
		return false, nil
	}
	if root, err := isSubvolume(p.dir); !root {
		return false, err
	}
	names, err := p.dir.Readdirnames(-1)
	if err != nil {
		return false, fmt.Errorf("list %s: %w", p.dir.Name(), err)
	}
	for _, name := range names {
		if name != p.base && !strings.HasPrefix(name, ".") {
			return false, nil
		}
	}
	return true, nil
}

func isSubvolume(dir *os.File) (bool, error) {
	st, err := stat(dir)
	return st.Ino == subvolumeInode, err
}

// checkWritable also finds a read-only subvolume, which no mount option shows.
func (p *place) checkWritable() error {
	err := unix.Faccessat(int(p.dir.Fd()), ".", unix.W_OK, 0)
	if err != nil {
		return methods.Blockedf("%s cannot be written to: %v", p.dir.Name(), err)
	}
	st, err := stat(p.dir)
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IWOTH != 0 && st.Mode&unix.S_ISVTX == 0 {
		return &methods.Blocked{
			What: p.dir.Name() + " can be written to by everybody",
			Hint: "take the right away: chmod o-w " + p.dir.Name(),
		}
	}
	return nil
}

func (p *place) checkRoom() error {
	free, err := freeBytes(p.dir)
	if err == nil && free < minFree {
		return methods.Blockedf("the file system of %s has only %d bytes left", p.dir.Name(), free)
	}
	return err
}
