package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// ofDisk is the extended attribute that says which of the disks in a directory a file in the store is of: they may
// all have one target.
const ofDisk = "user.domsnap.disk"

// List implements methods.Lister. A snapshot has its name when it is complete; before there is nothing to find.
func (*Method) List(_ context.Context, disk methods.Disk) ([]string, error) {
	if checkDisk(disk) != nil {
		return nil, nil
	}
	p, err := openPlace(disk.Source.File)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer p.Close()
	store, err := p.openStore()
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer store.Close()
	return p.snapshotsIn(store, disk.Target)
}

// snapshotsIn names the snapshots of the disk.
func (p *place) snapshotsIn(store *os.File, target string) ([]string, error) {
	entries, err := store.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", store.Name(), err)
	}
	var names []string
	for _, e := range entries {
		name, way := objectOf(e, target)
		if name == "" {
			continue
		}
		ours, err := way.isOf(store, e.Name(), p.base)
		if err != nil {
			return nil, err
		}
		if ours {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// objectOf is the ObjectName in an entry of the store, empty for what is not of the target.
func objectOf(e os.DirEntry, target string) (string, way) {
	var w way = subvolume{}
	name, format, _ := strings.Cut(e.Name(), ".")
	if e.Type().IsRegular() {
		w = reflink{}
	}
	id := strings.TrimSuffix(strings.TrimPrefix(name, "ds-"), "-"+target)
	made, err := methods.ObjectName(id, target)
	if err != nil || made != name || w.entry(name, format) != e.Name() || format != "" && !isFormat(format) {
		return "", nil
	}
	return name, w
}

// isOf: the snapshot has all that the subvolume had, the disk's file too.
func (subvolume) isOf(store *os.File, entry, base string) (bool, error) {
	return lookup(store, entry+"/"+base)
}

// isOf goes by the mark. A file without one may be anybody's.
func (reflink) isOf(store *os.File, entry, base string) (bool, error) {
	f, err := openRegular(store, entry, unix.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	var mark [256]byte
	n, err := unix.Fgetxattr(int(f.Fd()), ofDisk, mark[:])
	if errors.Is(err, unix.ENODATA) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read whose snapshot %s is: %w", f.Name(), err)
	}
	return string(mark[:n]) == base, nil
}

// markTwin says whose snapshot a file is.
func markTwin(twin *os.File, base string) error {
	if err := unix.Fsetxattr(int(twin.Fd()), ofDisk, []byte(base), 0); err != nil {
		return fmt.Errorf("mark a new file in %s: %w", twin.Name(), err)
	}
	return nil
}
