package fullcopy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// folder is a directory of copies, held open: what its path means may be changed by whoever may write to the directory
// of the disk.
type folder struct {
	// way are the directories down to it, itself the last; those but the first are this program's.
	way []*os.File
}

// openFolder opens the directory of a copy. It fails with fs.ErrNotExist where there is none, and with ErrBlocked where
// others can write to it.
func (m *Method) openFolder(dir string) (*folder, error) {
	return m.walk(dir, noMkdir)
}

// makeFolder makes what is missing of it, where it is this program's.
func (m *Method) makeFolder(dir string) (*folder, error) {
	if m.made(dir) {
		if err := os.MkdirAll(filepath.Dir(filepath.Dir(dir)), storeMode); err != nil {
			return nil, err
		}
	}
	return m.walk(dir, mkdir)
}

// mkdir says whether it made the directory.
func mkdir(in *os.File, name string) (bool, error) {
	err := unix.Mkdirat(int(in.Fd()), name, storeMode)
	if errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("make %s in %s: %w", name, in.Name(), err)
	}
	return true, nil
}

func noMkdir(*os.File, string) (bool, error) { return false, nil }

// walk opens a directory that was named, or those of this program below the first.
func (m *Method) walk(dir string, enter func(in *os.File, name string) (bool, error)) (_ *folder, err error) {
	f := &folder{}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	top, names := dir, []string{}
	if m.made(dir) {
		top, names = filepath.Dir(filepath.Dir(dir)), []string{filepath.Base(filepath.Dir(dir)), filepath.Base(dir)}
	}
	here, err := os.OpenFile(top, unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	f.way = append(f.way, here)
	for _, name := range names {
		if err := f.enter(name, enter); err != nil {
			return nil, err
		}
	}
	return f, checkOwn(f.self())
}

// enter goes one directory down. What is made gets its mode, whatever the umask is.
func (f *folder) enter(name string, enter func(in *os.File, name string) (bool, error)) error {
	made, err := enter(f.self(), name)
	if err != nil {
		return err
	}
	next, err := subdirectory(f.self(), name)
	if err != nil {
		return err
	}
	f.way = append(f.way, next)
	if err := checkOwn(next); err != nil || !made {
		return err
	}
	return next.Chmod(storeMode)
}

func subdirectory(in *os.File, name string) (*os.File, error) {
	path := filepath.Join(in.Name(), name)
	fd, err := unix.Openat(int(in.Fd()), name, unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, methods.Blockedf("%s is not a directory", path)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

func checkOwn(dir *os.File) error {
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	return checkPrivate(dir.Name(), info)
}

// Close lets go of the directories.
func (f *folder) Close() error {
	var errs []error
	for _, d := range f.way {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

func (f *folder) self() *os.File { return f.way[len(f.way)-1] }

func (f *folder) fd() int { return int(f.self().Fd()) }

// open opens a file in the folder, and no link.
func (f *folder) open(name string, flags int) (*os.File, error) {
	path := filepath.Join(f.self().Name(), name)
	fd, err := unix.Openat(f.fd(), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// has says whether there is a file of the name, of any kind.
func (f *folder) has(name string) (bool, error) {
	var st unix.Stat_t
	err := unix.Fstatat(f.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

// rename makes the new name durable.
func (f *folder) rename(from, to string) error {
	if err := unix.Renameat(f.fd(), from, f.fd(), to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return f.self().Sync()
}

// remove takes files away, those that there are, durably.
func (f *folder) remove(names ...string) error {
	for _, name := range names {
		if err := unix.Unlinkat(f.fd(), name, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove %s from %s: %w", name, f.self().Name(), err)
		}
	}
	return f.self().Sync()
}

// removeEmpty takes away the directories of this program that nothing is in.
func (f *folder) removeEmpty() error {
	for n := len(f.way) - 1; n > 0; n-- {
		err := unix.Unlinkat(int(f.way[n-1].Fd()), filepath.Base(f.way[n].Name()), unix.AT_REMOVEDIR)
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOTDIR) {
			return nil
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove directory %s: %w", f.way[n].Name(), err)
		}
	}
	return nil
}
