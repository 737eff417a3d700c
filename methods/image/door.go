package image

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

const (
	// doorSuffix is what the name of a door's directory ends with.
	doorSuffix = ".domsnap-partial"
	// mostSocket is the longest name that a socket's address takes.
	mostSocket = 107
)

// door is a socket that comes to its place when somebody answers at it. Until then it is in a directory beside, which only
// we can enter, and which is locked as long as we live.
type door struct {
	path, dir string
	lock      *os.File
	opened    os.FileInfo
}

func openDoor(path string) (*door, error) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("find the directory of the socket: %w", err)
	}
	// From here on no link leads to another place.
	path = filepath.Join(parent, filepath.Base(path))
	d := &door{path: path, dir: path + doorSuffix}
	if len(d.socket()) > mostSocket {
		return nil, methods.Blockedf("%s is too long for a socket: %d bytes are left for it", path, mostSocket-len(d.socket())+len(path))
	}
	if err := ours(parent); err != nil {
		return nil, err
	}
	if err := clearSocket(path); err != nil {
		return nil, err
	}
	return d, d.claim()
}

func (d *door) socket() string { return filepath.Join(d.dir, "s") }

func (d *door) pidFile() string { return filepath.Join(d.dir, "pid") }

func (d *door) arguments() []string {
	return []string{"--socket=" + d.socket(), "--pid-file=" + d.pidFile()}
}

// ours refuses a directory in which others could put another socket in the place of ours: it and those above belong to root,
// or to who runs this, and nobody else may write to them, but where they leave alone what is not theirs, as in /tmp.
func ours(dir string) error {
	for {
		info, err := os.Lstat(dir)
		if err != nil {
			return fmt.Errorf("look at the directory of the socket: %w", err)
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		mine := ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid())
		if !mine || info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return &methods.Blocked{
				What: "others may put another socket in its place: " + dir + " is not root's alone",
				Hint: "choose a directory of your own, as below /run",
			}
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

// clearSocket takes away a socket at which nobody answers any more.
func clearSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() == fs.ModeSocket {
		conn, err := net.Dial("unix", path)
		if errors.Is(err, unix.ECONNREFUSED) {
			return os.Remove(path)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	return fmt.Errorf("serve at %s: %w", path, methods.ErrExists)
}

// claim makes the directory. One that nobody has locked was left by a process that was killed.
func (d *door) claim() error {
	err := os.Mkdir(d.dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		if err = d.takeLock(); err == nil {
			err = errors.Join(os.RemoveAll(d.dir), d.lock.Close())
		}
		if err == nil {
			err = os.Mkdir(d.dir, 0o700)
		}
	}
	if err == nil {
		err = d.takeLock()
	}
	if err != nil {
		return fmt.Errorf("make a place for the socket: %w", err)
	}
	return nil
}

func (d *door) takeLock() (err error) {
	if d.lock, err = os.OpenFile(d.dir, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0); err != nil {
		return err
	}
	if err := unix.Flock(int(d.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.Join(methods.Blockedf("somebody else is about to serve at %s", d.path), d.lock.Close())
	}
	return nil
}

// ready says whether the server can answer: it writes the file of its process id when it has opened the image.
func (d *door) ready() bool {
	_, err := os.Stat(d.pidFile())
	return err == nil
}

// open gives the socket its name, unless something has it by now.
func (d *door) open() error {
	if err := os.Chmod(d.socket(), 0o600); err != nil {
		return err
	}
	err := os.Link(d.socket(), d.path)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("serve at %s: %w", d.path, methods.ErrExists)
	}
	if err != nil {
		return fmt.Errorf("put the socket in its place: %w", err)
	}
	d.opened, err = os.Lstat(d.path)
	return err
}

// close takes away what was made, and nothing else.
func (d *door) close() error {
	var err error
	if now, statErr := os.Lstat(d.path); statErr == nil && d.opened != nil && os.SameFile(now, d.opened) {
		err = os.Remove(d.path)
	}
	return errors.Join(err, os.RemoveAll(d.dir), d.lock.Close())
}
