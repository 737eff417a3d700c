// Package btrfs snapshots image files on file systems that let files share extents.
//
// It has two methods over the same code: "btrfs", for files on btrfs, and "reflink", for files on any
// supported file system. A snapshot is kept in one of two ways, recorded as the ref's Mode:
//
//	subvolume  a read-only snapshot of the disk's own subvolume    DIR/.domsnap/ds-ID-TARGET/FILE
//	reflink    a read-only file that shares the disk's extents     DIR/.domsnap/ds-ID-TARGET.FORMAT
//
// A subvolume snapshot takes the same time whatever the disk looks like; a reflink takes about 10 microseconds
// for each extent of the file.
//
// Both go back the same way: the disk's file takes over the extents of the snapshot's file and so keeps its
// inode, owner, mode and labels. That too goes extent by extent: on btrfs it takes about as long for those that
// did not change as for the others, while XFS only looks at them.
//
// What differs between two files is told by where their extents are, without reading them.
//
// The directory .domsnap lies next to the disk, belongs to root and is open to nobody else. A subvolume that
// holds snapshots cannot be deleted before they are.
package btrfs

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// Method snapshots image files by shared extents. It has no state and needs no program on the host.
type Method struct {
	traits methods.Traits
	// whole: the way may be a snapshot of a whole subvolume.
	whole bool
}

// New is the method "btrfs", for image files on btrfs. A disk with a subvolume of its own is snapshotted with
// that subvolume, every other one by reflink.
func New() *Method {
	return &Method{whole: true, traits: methods.Traits{
		Name:      "btrfs",
		Summary:   "image files on btrfs: subvolume snapshot or reflink copy",
		BelowQEMU: true,
		// That of a disk without a subvolume of its own.
		TakeCost: methods.CostSize, RevertCost: methods.CostSize,
	}}
}

// NewReflink is the method "reflink", for image files on XFS or btrfs. It never touches subvolumes.
func NewReflink() *Method {
	return &Method{traits: methods.Traits{
		Name:      "reflink",
		Summary:   "image files on XFS or btrfs: reflink copy",
		BelowQEMU: true,
		TakeCost:  methods.CostSize, RevertCost: methods.CostSize,
	}}
}

// Traits implements methods.Method.
func (m *Method) Traits() methods.Traits { return m.traits }

// Claim takes raw files only: a qcow2 file is better served by QEMU. It opens nothing for writing.
func (m *Method) Claim(_ context.Context, disk methods.Disk) methods.Claim {
	if disk.Format != "raw" || checkDisk(disk) != nil {
		return methods.Claim{}
	}
	p, err := openPlace(disk.Source.File)
	if err != nil {
		return methods.Claim{}
	}
	defer p.Close()
	if m.whole != (p.fs == onBtrfs) || p.fs == onOther {
		return methods.Claim{}
	}
	return methods.Claim{Rank: methods.RankNative, Why: fmt.Sprintf("raw file on %s", p.fs)}
}

// choose picks the way for a disk. alone says whether the disk has a subvolume of its own.
func (m *Method) choose(fs filesystem, alone bool) (way, error) {
	switch {
	case fs == onOther:
		return nil, methods.Unsupportedf("the file system shares no extents: needs btrfs, or XFS made with reflink=1")
	case !m.whole:
		return reflink{}, nil
	case fs != onBtrfs:
		return nil, methods.Unsupportedf("the file is on %s, not on btrfs: name the method reflink", fs)
	case alone:
		return subvolume{}, nil
	}
	return reflink{}, nil
}

var (
	_ methods.Method      = (*Method)(nil)
	_ methods.Sourcer     = (*Method)(nil)
	_ methods.Claimer     = (*Method)(nil)
	_ methods.Preparer    = (*Method)(nil)
	_ methods.Reverter    = (*Method)(nil)
	_ methods.Differ      = (*Method)(nil)
	_ methods.Lister      = (*Method)(nil)
	_ methods.Prober      = (*Method)(nil)
	_ methods.DropChecker = (*Method)(nil)
	_ methods.Warner      = (*Method)(nil)
)
