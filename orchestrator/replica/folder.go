package replica

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/orchestrator/durable"
)

// folder is a directory out of which no name and no link leads.
type folder struct{ *os.Root }

// within opens a directory of the folder.
func (f folder) within(name string) (folder, error) {
	r, err := f.OpenRoot(name)
	return folder{r}, err
}

// make makes a directory, durably; one that is there is no error.
func (f folder) make(name string) (folder, error) {
	if err := f.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return folder{}, err
	}
	if err := f.Sync(); err != nil {
		return folder{}, err
	}
	return f.within(name)
}

// Create implements durable.Directory.
func (f folder) Create(name string) (durable.File, error) {
	return f.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|unix.O_NOFOLLOW, 0o600)
}

// Append implements durable.Directory.
func (f folder) Append(name string) (durable.File, error) {
	return f.OpenFile(name, os.O_APPEND|os.O_WRONLY|unix.O_NOFOLLOW, 0o600)
}

// Sync implements durable.Directory.
func (f folder) Sync() error {
	dir, err := f.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// entries are the names of the directories in it that are called right.
func (f folder) entries(called func(string) bool) ([]string, error) {
	dir, err := f.Open(".")
	if err != nil {
		return nil, err
	}
	all, err := dir.ReadDir(-1)
	var names []string
	for _, e := range all {
		if e.IsDir() && called(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, errors.Join(err, dir.Close())
}

// regular opens a file that is one: nobody waits for a pipe.
func (f folder) regular(name string, flags int) (*os.File, error) {
	file, err := f.OpenFile(name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

var _ durable.Directory = folder{}
