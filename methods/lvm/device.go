package lvm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// uuidLength is that of device-mapper's name for a whole volume: "LVM-", the group's and the volume's uuid.
// What LVM keeps below a volume has a longer one.
const uuidLength = len("LVM-") + 32 + 32

var errNotBlock = errors.New("not a block device")

// deviceNumber is major:minor of a block device.
func deviceNumber(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return "", fmt.Errorf("check %s: %w", path, errNotBlock)
	}
	return fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)), nil
}

// resolve finds the logical volume behind a path by asking the kernel, which starts no process. A path that
// is not there is taken by its name: a volume that is not active has no device.
func (m *Method) resolve(path string) (name, error) {
	if !filepath.IsAbs(path) {
		return name{}, notVolume(path)
	}
	number, err := m.number(path)
	if errors.Is(err, os.ErrNotExist) {
		if n, ok := nameInPath(m.dev, path); ok {
			return n, nil
		}
		return name{}, notVolume(path)
	}
	if errors.Is(err, errNotBlock) {
		return name{}, notVolume(path)
	}
	if err != nil {
		return name{}, err
	}
	return m.mappedBy(path, number)
}

func (m *Method) mappedBy(path, number string) (name, error) {
	dir := filepath.Join(m.sys, "dev/block", number, "dm")
	uuid, err := os.ReadFile(filepath.Join(dir, "uuid"))
	if errors.Is(err, os.ErrNotExist) {
		return name{}, notVolume(path)
	}
	if err != nil {
		return name{}, err
	}
	if u := strings.TrimSpace(string(uuid)); !strings.HasPrefix(u, "LVM-") || len(u) != uuidLength {
		return name{}, notVolume(path)
	}
	mapped, err := os.ReadFile(filepath.Join(dir, "name"))
	if err != nil {
		return name{}, err
	}
	return parseMapped(strings.TrimSpace(string(mapped)))
}

func notVolume(path string) error {
	return methods.Unsupportedf("%q is not a logical volume", path)
}

// byName says whether a path leads to the volume by its name. A path like /dev/dm-4, or one by uuid, goes on
// meaning the old device when a revert moves the name to a new one.
func (m *Method) byName(path string, want name) bool {
	for range 8 {
		if n, ok := nameInPath(m.dev, path); ok && n == want {
			return true
		}
		link, err := os.Readlink(path)
		if err != nil {
			return false
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(path), link)
		}
		path = link
	}
	return false
}
