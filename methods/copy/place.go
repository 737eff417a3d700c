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

// createPartial makes the file of a copy at work, empty and with the size of the disk. Another domain's last copy
// may take the directory away under it.
func (m *Method) createPartial(ref methods.Ref) (*folder, *os.File, error) {
	var in *folder
	var f *os.File
	err := fs.ErrNotExist
	for try := 0; try < 3 && errors.Is(err, fs.ErrNotExist); try++ {
		if in, err = m.makeFolder(filepath.Dir(ref.Name)); err != nil {
			continue
		}
		if f, err = in.open(filepath.Base(partial(ref)), os.O_CREATE|os.O_EXCL|os.O_RDWR); err != nil {
			err = errors.Join(err, in.Close())
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil, nil, fmt.Errorf("create %s: %w", partial(ref), methods.ErrExists)
	}
	if err != nil {
		return nil, nil, err
	}
	if err := f.Truncate(ref.Size); err != nil {
		return nil, nil, errors.Join(err, f.Close(), in.Close())
	}
	return in, f, nil
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

// openCopy opens a copy that is complete, and nothing that only points to one.
func (m *Method) openCopy(ref methods.Ref) (_ *os.File, _ fs.FileInfo, err error) {
	if err := checkName(ref); err != nil {
		return nil, nil, err
	}
	in, err := m.openFolder(filepath.Dir(ref.Name))
	if err != nil {
		return nil, nil, gone(err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	f, err := in.open(filepath.Base(ref.Name), os.O_RDONLY)
	if errors.Is(err, unix.ELOOP) {
		return nil, nil, fmt.Errorf("it is a link: %w", methods.ErrBroken)
	}
	if err != nil {
		return nil, nil, gone(err)
	}
	info, err := f.Stat()
	if err == nil {
		err = checkCopy(info, ref)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return methods.ErrNotFound
	}
	return err
}

func checkCopy(info fs.FileInfo, ref methods.Ref) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("it is not a file: %w", methods.ErrBroken)
	}
	if info.Size() != ref.Size {
		return fmt.Errorf("it has %d bytes instead of %d: %w", info.Size(), ref.Size, methods.ErrBroken)
	}
	return nil
}

func allocated(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return -1
}
