package journal

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
)

const suffix = ".journal"

func nameOf(uuid string) string { return filepath.Base(uuid) + suffix }

// directory is what the journal asks of a file system. What it writes may get lost, or get there in any order, until it
// is synced: a file's content by the file's Sync, a name by the directory's.
type directory interface {
	// Create makes a file, or empties the one that is there.
	Create(name string) (file, error)
	// Append opens a file to write behind its end.
	Append(name string) (file, error)
	Rename(from, to string) error
	Remove(name string) error
	ReadFile(name string) ([]byte, error)
	Sync() error
}

type file interface {
	io.WriteCloser
	Sync() error
}

// files is the journal in a directory.
type files struct{ directory }

// begin writes a new file beside and gives it the name when it is whole. One that was left there by a crash is written
// over; one that there was no room for is taken away.
func (f files) begin(i Intent) error {
	line, err := encode(i)
	if err != nil {
		return err
	}
	name := nameOf(i.UUID)
	beside := "." + name
	if err := write(f.Create, beside, line); err != nil {
		return errors.Join(err, f.Remove(beside))
	}
	if err := f.Rename(beside, name); err != nil {
		return err
	}
	return f.Sync()
}

// note begins with the end of a line: what a crash has torn before stays a line of its own.
func (f files) note(uuid string, n Note) error {
	line, err := encode(n)
	if err != nil {
		return err
	}
	return write(f.Append, nameOf(uuid), append([]byte("\n"), line...))
}

func write(open func(name string) (file, error), name string, text []byte) error {
	to, err := open(name)
	if err != nil {
		return err
	}
	_, err = to.Write(text)
	if err == nil {
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}

func (f files) pending(uuid string) (*Intent, error) {
	text, err := f.ReadFile(nameOf(uuid))
	if err != nil {
		return nil, err
	}
	return decodeAll(text)
}

func (f files) end(uuid string) error {
	err := f.Remove(nameOf(uuid))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Sync()
}
