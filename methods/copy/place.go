package fullcopy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

const (
	// storeName is the directory beside an image file that has a directory of copies for each domain.
	storeName = ".domsnap-copies"
	// suffix ends the name of a copy, partialSuffix that of one at work.
	suffix        = ".raw"
	partialSuffix = ".raw.partial"
	// storeMode lets QEMU, which need not be root, through to the file it writes, and show nobody what there is.
	storeMode = 0o711
)

// directory is where a disk's copies go when the descriptor names no place.
func (m *Method) directory(d methods.Disk) string {
	if d.Source.File != "" {
		return filepath.Join(filepath.Dir(d.Source.File), storeName, d.Domain.UUID)
	}
	return filepath.Join(m.Dir, d.Domain.UUID)
}

// made says that this program makes and removes the directory.
func (m *Method) made(dir string) bool {
	parent := filepath.Dir(dir)
	return filepath.Base(parent) == storeName || parent == filepath.Clean(m.Dir)
}

// checkNamed wants a directory of a descriptor to be there, so that nothing is copied to where a file system is not
// mounted, and that nobody else can put files into it.
func checkNamed(dir string) error {
	if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir {
		return methods.Unsupportedf("directory %q is not a plain absolute path", dir)
	}
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &methods.Blocked{What: fmt.Sprintf("there is no directory %s", dir), Hint: "make it, or mount what should be there"}
	}
	if err != nil {
		return err
	}
	return checkPrivate(dir, info)
}

func checkPrivate(dir string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return methods.Blockedf("%s is not a directory", dir)
	case !ok || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0:
		return &methods.Blocked{
			What: fmt.Sprintf("others may write into %s", dir),
			Hint: "make it root's own: chown root, chmod go-w",
		}
	default:
		return nil
	}
}

// makeDirectory makes the directory and the one above it, where they are this program's.
func (m *Method) makeDirectory(dir string) error {
	if !m.made(dir) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Dir(dir)), storeMode); err != nil {
		return err
	}
	for _, d := range []string{filepath.Dir(dir), dir} {
		err := os.Mkdir(d, storeMode)
		if err == nil {
			err = os.Chmod(d, storeMode)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		info, err := os.Lstat(d)
		if err != nil {
			return err
		}
		if err := checkPrivate(d, info); err != nil {
			return err
		}
	}
	return nil
}

// removeDirectory removes what makeDirectory made, if nothing is in it.
func (m *Method) removeDirectory(dir string) error {
	if !m.made(dir) {
		return nil
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		err := unix.Rmdir(d)
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EBUSY) {
			return nil
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove directory %s: %w", d, err)
		}
	}
	return nil
}

// createPartial makes the file of a copy at work, empty and with the size of the disk. Another domain's last copy
// may take the directory away under it.
func (m *Method) createPartial(ref methods.Ref) (*os.File, error) {
	dir := filepath.Dir(ref.Name)
	var f *os.File
	err := fs.ErrNotExist
	for try := 0; try < 3 && errors.Is(err, fs.ErrNotExist); try++ {
		if err = m.makeDirectory(dir); err != nil {
			continue
		}
		f, err = os.OpenFile(partial(ref), os.O_CREATE|os.O_EXCL|os.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create %s: %w", partial(ref), methods.ErrExists)
	}
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(ref.Size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func partial(ref methods.Ref) string {
	return ref.Name[:len(ref.Name)-len(suffix)] + partialSuffix
}

// absent fails with ErrExists where there is a copy of the name, finished or not.
func absent(name string) error {
	for _, path := range []string{name, partial(methods.Ref{Name: name})} {
		_, err := os.Lstat(path)
		if err == nil {
			return fmt.Errorf("plan copy %s: %w", path, methods.ErrExists)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// lookAt finds a copy, and nothing that only points to one.
func lookAt(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, methods.ErrNotFound
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("it is not a file: %w", methods.ErrBroken)
	}
	return info, err
}

func allocated(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return -1
}

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
