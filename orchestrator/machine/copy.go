package machine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/domsnap/domsnap/orchestrator/durable"
)

// maxPart is more than any firmware's variables and any TPM's state.
const maxPart = 256 << 20

// copyTree makes a copy of a file or a directory, in place of what is there, with owners and modes. It is durable where
// that is wanted, but for its name.
func copyTree(from, to string, sync bool) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	c := copier{to: to, left: maxPart, sync: sync}
	return errors.Join(walk(from, c.copy), c.giveAway())
}

// copier copies one tree.
type copier struct {
	to string
	// left is how many bytes it may have still.
	left int64
	sync bool
	dirs []directory
}

// directory stays for root alone until all is in it: its owner could put links there, for us to follow.
type directory struct {
	path string
	info fs.FileInfo
}

func (c *copier) copy(root *os.Root, name string, info fs.FileInfo) error {
	to := filepath.Join(c.to, name)
	if info.IsDir() {
		c.dirs = append(c.dirs, directory{to, info})
		return os.Mkdir(to, 0o700)
	}
	if len(c.dirs) == 0 {
		to = c.to // the tree is one file
	}
	if c.left -= info.Size(); c.left < 0 {
		return fmt.Errorf("%s and what is beside it are larger than %d bytes", name, maxPart)
	}
	err := c.copyFile(root, name, to, info)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has just gone; the signature will show that
	}
	return err
}

func (c *copier) copyFile(root *os.Root, name, to string, info fs.FileInfo) error {
	from, err := open(root, name, info)
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
	return errors.Join(err, c.finish(out, info))
}

// giveAway gives the directories their owners and modes, the deepest first.
func (c *copier) giveAway() error {
	var errs []error
	for _, d := range slices.Backward(c.dirs) {
		f, err := os.Open(d.path)
		if err != nil {
			return err
		}
		errs = append(errs, c.finish(f, d.info))
	}
	return errors.Join(errs...)
}

// finish gives a copy the owner and the mode of what it was made of, and closes it.
func (c *copier) finish(f *os.File, info fs.FileInfo) error {
	var errs []error
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		errs = append(errs, f.Chown(int(stat.Uid), int(stat.Gid)), f.Chmod(info.Mode().Perm()))
	}
	if c.sync {
		errs = append(errs, f.Sync())
	}
	return errors.Join(append(errs, f.Close())...)
}

// syncTree makes everything below a path of the store durable, its names too.
func syncTree(path string) error {
	return walk(path, func(root *os.Root, name string, info fs.FileInfo) error {
		f, err := open(root, name, info)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// syncAbove makes the name of a path durable, and the names of the directories above up to one of them.
func syncAbove(path, top string) error {
	for dir := filepath.Dir(path); len(dir) >= len(filepath.Dir(top)); dir = filepath.Dir(dir) {
		if err := (durable.Disk{Dir: dir}).Sync(); err != nil {
			return err
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return nil
}
