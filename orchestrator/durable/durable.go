// Package durable writes small files that survive a crash, as a whole or as they were before.
package durable

import (
	"errors"
	"io"
	"io/fs"
)

// Directory is what is asked of a file system. What is written may get lost, or get there in any order, until it is synced:
// a file's content by the file's Sync, a name by the directory's.
type Directory interface {
	// Create makes a file, or empties the one that is there.
	Create(name string) (File, error)
	// Append opens a file to write behind its end.
	Append(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	ReadFile(name string) ([]byte, error)
	Sync() error
}

// File is open for writing.
type File interface {
	io.WriteCloser
	Sync() error
}

// Replace gives the file a new content. It writes a new file beside and gives that the name when it is whole. One that was
// left there by a crash is written over; one that there was no room for is taken away.
func Replace(d Directory, name string, text []byte) error {
	beside := "." + name
	if err := Write(d.Create, beside, text); err != nil {
		return errors.Join(err, removeIfThere(d, beside))
	}
	if err := d.Rename(beside, name); err != nil {
		return err
	}
	return d.Sync()
}

// Remove takes a file away, durably. One that is not there is no error.
func Remove(d Directory, name string) error {
	err := d.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.Sync()
}

func removeIfThere(d Directory, name string) error {
	if err := d.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Write opens a file, by Create or Append, and writes a text that is durable when it returns.
func Write(open func(name string) (File, error), name string, text []byte) error {
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
