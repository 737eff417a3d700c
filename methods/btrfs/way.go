package btrfs

import (
	"os"
	"path/filepath"

	"github.com/domsnap/domsnap/methods"
)

// way is how a snapshot is kept. The store is the directory .domsnap.
type way interface {
	// mode is what refs record.
	mode() string
	// entry is the snapshot's name in the store.
	entry(name, format string) string
	// content is the path, below the store, of what the disk's file was.
	content(entry, base string) string
	// prepare does all that can be done before the disk is still. The act uses what h holds open.
	prepare(h *held, entry string) (act, error)
	// isOf says whether an entry of this way is a snapshot of the disk whose file is base.
	isOf(store *os.File, entry, base string) (bool, error)
	// remove deletes the entry and nothing that is of another kind.
	remove(store *os.File, entry string) error
}

// act makes the snapshot, and fails with EEXIST when its name is taken.
type act func() error

func wayOf(mode string) (way, error) {
	for _, w := range []way{subvolume{}, reflink{}} {
		if w.mode() == mode {
			return w, nil
		}
	}
	return nil, methods.Unsupportedf("there is no way %q to keep a snapshot", mode)
}

// location is where a ref's disk and snapshot are. It follows from the ref alone.
type location struct {
	way way
	// origin is the path of the disk's file.
	origin string
	format string
	// entry is the snapshot's name in the store.
	entry string
}

func locate(w way, id string, disk methods.Disk) (location, error) {
	if err := checkDisk(disk); err != nil {
		return location{}, err
	}
	name, err := methods.ObjectName(id, disk.Target)
	if err != nil {
		return location{}, err
	}
	return location{
		way: w, origin: filepath.Clean(disk.Source.File), format: disk.Format,
		entry: w.entry(name, disk.Format),
	}, nil
}

// path is the snapshot's: what a ref has as its name.
func (l location) path() string {
	return filepath.Join(filepath.Dir(l.origin), storeName, l.entry)
}

// below is the path of the snapshot's file from the store on.
func (l location) below() string {
	return l.way.content(l.entry, filepath.Base(l.origin))
}

// file is the path of the snapshot's file.
func (l location) file() string {
	return filepath.Join(filepath.Dir(l.origin), storeName, l.below())
}

// recorded finds the location again, and trusts no name in the record: it must be the one that Plan made.
func (m *Method) recorded(ref methods.Ref) (location, error) {
	if ref.Method != m.traits.Name {
		return location{}, methods.Unsupportedf("snapshot %q is of method %q", ref.Name, ref.Method)
	}
	w, err := wayOf(ref.Mode)
	if err != nil {
		return location{}, err
	}
	l, err := locate(w, ref.Snapshot, ref.Disk)
	if err != nil {
		return location{}, err
	}
	if ref.Name != l.path() {
		return location{}, methods.Blockedf("the recorded snapshot name %q is not %q", ref.Name, l.path())
	}
	return l, nil
}

func checkDisk(disk methods.Disk) error {
	file := disk.Source.File
	if !filepath.IsAbs(file) || filepath.Clean(file) == "/" {
		return methods.Unsupportedf("disk %s (%s) is not an image file", disk.Target, disk.Source)
	}
	if !isFormat(disk.Format) {
		return methods.Unsupportedf("disk %s has the format %q: want raw or qcow2", disk.Target, disk.Format)
	}
	return nil
}

func isFormat(format string) bool { return format == "raw" || format == "qcow2" }
