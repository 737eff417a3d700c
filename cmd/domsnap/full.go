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
// what is missing.
func becomeFullBuild() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	full := filepath.Join(filepath.Dir(self), fullBuild)
	if err := syscall.Exec(full, os.Args, os.Environ()); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("run %s: %w", full, err)
	}
	return nil
}
