package btrfs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// subvolume keeps a read-only snapshot of the disk's own subvolume. The snapshot is a nested subvolume, and
// those are not part of later snapshots.
type subvolume struct{}

func (subvolume) mode() string { return "subvolume" }

func (subvolume) entry(name, _ string) string { return name }

func (subvolume) content(entry, base string) string { return entry + "/" + base }

// prepare commits the file system, because the act does so too and the guest waits for what is left to
// commit. Once more it checks that the directory is a subvolume: of any other directory some kernels would
// snapshot the subvolume around it.
func (subvolume) prepare(h *held, entry string) (act, error) {
	root, err := isSubvolume(h.dir)
	if err != nil {
		return nil, err
	}
	if !root {
		return nil, methods.Blockedf("%s is not a subvolume any more", h.dir.Name())
	}
	if err := unix.Syncfs(int(h.dir.Fd())); err != nil {
		return nil, fmt.Errorf("commit the file system of %s: %w", h.dir.Name(), err)
	}
	return func() error { return createSnapshot(h.store, h.dir, entry) }, nil
}

func (subvolume) remove(store *os.File, entry string) error {
	return destroySubvolume(store, entry)
}
