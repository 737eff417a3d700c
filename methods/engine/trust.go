package engine

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// trusted follows a path to its end and refuses it where anybody but the owner could put something else there: every
// directory on the way, those behind symbolic links too, and the file belong to root, or to who runs this, and nobody
// else may write to them. What passes cannot be swapped afterwards by those it was checked against.
func trusted(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s is not an absolute path", path)
	}
	const mostLinks = 40
	here, links := "/", 0
	if _, err := ours(here); err != nil {
		return err
	}
	todo := split(path)
	for len(todo) > 0 {
		next := filepath.Join(here, todo[0])
		todo = todo[1:]
		info, err := ours(next)
		switch {
		case err != nil:
			return err
		case info.Mode()&fs.ModeSymlink != 0:
			if links++; links > mostLinks {
				return fmt.Errorf("%s has too many symbolic links", path)
			}
			target, err := os.Readlink(next)
			if err != nil {
				return err
			}
			if filepath.IsAbs(target) {
				here = "/"
			}
			todo = append(split(target), todo...)
		case len(todo) > 0 && info.IsDir():
			here = next
		case len(todo) > 0:
			return fmt.Errorf("%s is not a directory", next)
		default:
			return program(next, info)
		}
	}
	return fmt.Errorf("%s is a directory", path)
}

// ours looks at one step of the way. Nobody writes to a symbolic link, whatever its mode says.
func ours(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if owner != 0 && int(owner) != os.Geteuid() {
		return nil, fmt.Errorf("%s belongs to user %d, not to root", path, owner)
	}
	if info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("others than its owner may write to %s (mode %04o)", path, info.Mode().Perm())
	}
	return info, nil
}

func program(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	if info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s is not executable", path)
	}
	return nil
}

func split(path string) []string {
	var parts []string
	for _, p := range strings.Split(path, "/") {
		if p != "" && p != "." {
			parts = append(parts, p)
		}
	}
	return parts
}
