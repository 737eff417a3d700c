package machine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// maxFile is more than any firmware's variables and any TPM's state.
const maxFile = 256 << 20

// copyTree makes a copy of a file or a directory, in place of what is there, with owners and modes.
func copyTree(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	c := copier{from: filepath.Base(from), to: to}
	return errors.Join(walk(from, c.copy), c.giveAway())
}

// copier copies one tree.
type copier struct {
	from, to string
	dirs     []directory
}

// directory stays for root alone until all is in it: its owner could put links there, for us to follow.
type directory struct {
	path string
	info fs.FileInfo
}

func (c *copier) copy(root *os.Root, name string, info fs.FileInfo) error {
	to := filepath.Join(c.to, strings.TrimPrefix(name, c.from))
	if info.IsDir() {
		c.dirs = append(c.dirs, directory{to, info})
		return os.Mkdir(to, 0o700)
	}
	err := copyFile(root, name, to, info)
	if errors.Is(err, fs.ErrNotExist) {
		// It has just gone; the signature will show that.
		return nil
	}
	return err
}

// giveAway gives the directories their owners and modes, the deepest first.
func (c *copier) giveAway() error {
	var errs []error
	for _, d := range slices.Backward(c.dirs) {
		f, err := os.Open(d.path)
		if err != nil {
			return err
		}
		errs = append(errs, own(f, d.info), f.Close())
	}
	return errors.Join(errs...)
}

func copyFile(root *os.Root, name, to string, info fs.FileInfo) error {
	if info.Size() > maxFile {
		return fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	from, err := root.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	// What grows meanwhile is copied again.
	_, err = io.Copy(out, io.LimitReader(from, info.Size()))
	return errors.Join(err, own(out, info), out.Close())
}

// own gives a copy the owner and the mode of what it was made of.
func own(f *os.File, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return errors.Join(f.Chown(int(stat.Uid), int(stat.Gid)), f.Chmod(info.Mode().Perm()))
}

// syncTree makes everything below a path durable, its names too.
func syncTree(path string) error {
	return walk(path, func(root *os.Root, name string, _ fs.FileInfo) error {
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// syncAbove makes the name of a path durable, and the names of the directories above up to one of them.
func syncAbove(path, top string) error {
	for dir := filepath.Dir(path); len(dir) >= len(filepath.Dir(top)); dir = filepath.Dir(dir) {
		f, err := os.Open(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return nil
}
