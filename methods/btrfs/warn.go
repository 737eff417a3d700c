package btrfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// sysfs is where the kernel tells of each btrfs, by its UUID.
const sysfs = "/sys/fs/btrfs"

// Warn implements methods.Warner. With quotas btrfs counts anew who shares what whenever a snapshot comes or goes, and with some
// hundred of them writes wait for minutes. Its simple quotas, of kernel 6.7, do not.
func (m *Method) Warn(_ context.Context, disk methods.Disk) ([]methods.Warning, error) {
	if checkDisk(disk) != nil {
		return nil, nil
	}
	p, err := openPlace(disk.Source.File)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if p.fs != onBtrfs {
		return nil, nil
	}
	id, err := uuidOf(p.dir)
	if err != nil {
		return nil, fmt.Errorf("ask btrfs for its UUID: %w", err)
	}
	if !countsShares(filepath.Join(sysfs, id)) {
		return nil, nil
	}
	return []methods.Warning{{
		What: "quotas are on, and with some hundred snapshots writes wait for minutes when one more comes or goes",
		Fix:  "btrfs quota disable " + p.dir.Name(),
	}}, nil
}

// countsShares says by what the kernel tells of a file system that quotas are on, and not the simple ones.
func countsShares(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "qgroups")); err != nil {
		return false
	}
	mode, err := os.ReadFile(filepath.Join(dir, "qgroups/mode"))
	return err != nil || strings.TrimSpace(string(mode)) == "qgroup"
}
