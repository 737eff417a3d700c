//go:build !rbd

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// fullBuild is this program linked with librbd, beside it in an installation. Loading librbd takes as long as listing a
// domain's snapshots, so the verbs that touch no storage do without.
const fullBuild = "../libexec/domsnap/domsnap"

// becomeFullBuild goes on as the program with all methods. Where it is not installed this one goes on, and rbd says
// what is missing. One that somebody else could have put there is an error.
func becomeFullBuild() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	full, err := openFull(self)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the program with all methods: %w", err)
	}
	defer full.Close()
	// What was looked at is what is run, whatever is at its name by now.
	if err := syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", full.Fd()), os.Args, os.Environ()); err != nil {
		return fmt.Errorf("run %s: %w", full.Name(), err)
	}
	return nil
}

// openFull wants a file of root's, of the caller's, or of whoever's this program is, that nobody else can write to.
func openFull(self string) (_ *os.File, err error) {
	f, err := os.OpenFile(filepath.Join(filepath.Dir(self), fullBuild), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	own, err := ownerOf(os.Stat(self))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	owner, err := ownerOf(info, nil)
	if err != nil {
		return nil, err
	}
	if owner != 0 && owner != own && owner != uint32(os.Geteuid()) || info.Mode().Perm()&0o002 != 0 || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s belongs to user %d and has mode %v: it is not run", f.Name(), owner, info.Mode())
	}
	return f, nil
}

func ownerOf(info fs.FileInfo, err error) (uint32, error) {
	if err != nil {
		return 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("look at %s: nobody says whose it is", info.Name())
	}
	return st.Uid, nil
}
