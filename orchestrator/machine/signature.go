package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// racy is how much later than a file's last change it has to be, so that the file's time would show another change: file
// systems count time in ticks.
const racy = 20 * time.Millisecond

// signature tells two states of a file or a directory apart without reading what is in it. It is empty where there is
// none.
type signature []entry

type entry struct {
	name    string
	mode    fs.FileMode
	size    int64
	inode   uint64
	changed time.Time
}

// sign looks at a file, or at a directory and all below.
func sign(path string) (signature, error) {
	var s signature
	err := walk(path, func(_ *os.Root, name string, info fs.FileInfo) error {
		e := entry{name: name, mode: info.Mode(), size: info.Size()}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			e.inode, e.changed = stat.Ino, time.Unix(stat.Ctim.Unix())
		}
		s = append(s, e)
		return nil
	})
	return s, err
}

// before says that the last change was surely before a time. A change that is yet to come is one by another clock.
func (s signature) before(at time.Time) bool {
	for _, e := range s {
		if age := at.Sub(e.changed); age <= racy && age > -time.Second {
			return false
		}
	}
	return true
}

// look is nil for a path that is not there, and fails with ErrNoFile for what is neither a file nor a directory.
func look(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s", ErrNoFile, path)
	}
	return info, nil
}

// walk visits the file or directory, which is "." then, and all files and directories below. Nothing else belongs to a
// machine, and no link is followed. A path that is not there has nothing to visit.
func walk(path string, visit func(from *os.Root, name string, info fs.FileInfo) error) error {
	info, err := look(path)
	if err != nil || info == nil {
		return err
	}
	top, name := filepath.Dir(path), filepath.Base(path)
	if info.IsDir() {
		top, name = path, "."
	}
	from, err := os.OpenRoot(top)
	if err != nil {
		return err
	}
	defer from.Close()
	if name != "." {
		return visit(from, name, info)
	}
	return walkBelow(from, visit)
}

func walkBelow(from *os.Root, visit func(from *os.Root, name string, info fs.FileInfo) error) error {
	return fs.WalkDir(from.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !d.Type().IsRegular() {
			return nil
		}
		var info fs.FileInfo
		if err == nil {
			info, err = d.Info()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it has just gone
		}
		if err != nil {
			return err
		}
		return visit(from, name, info)
	})
}

// open opens what was seen, and nothing that was put in its place since: that is fs.ErrNotExist.
func open(root *os.Root, name string, seen fs.FileInfo) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	now, err := f.Stat()
	if err == nil && !os.SameFile(seen, now) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
