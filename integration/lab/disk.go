package lab

import (
	"fmt"
	"strings"
)

// Kind is a place where a disk can be.
type Kind int

// The places the lab has for disks.
const (
	QcowFile    Kind = iota // a qcow2 file on ext4
	RawFile                 // a raw file on ext4
	ThickLV                 // a linear logical volume of vg0
	ThinLV                  // a thin volume of vg0/pool0
	BtrfsSubvol             // a raw file alone in a btrfs subvolume of its own
	BtrfsFile               // a raw file among others in one btrfs subvolume
	XFSFile                 // a raw file on XFS with reflink
	RBD                     // an image of the Ceph pool rbd
	EmptyCDROM              // a drive without a medium
	NBD                     // a raw file behind an NBD server on a Unix socket
	Adopted                 // a raw file that is there already, and stays
)

// DefaultSize is the size of a disk that does not say.
const DefaultSize = 128 << 20

// NoFS as a Disk's FS leaves the disk without a file system.
const NoFS = "none"

// Disk describes a disk to be made.
type Disk struct {
	Target   string // vda, vdb, ... by position if empty; sdX is on virtio-scsi
	Kind     Kind
	Path     string // of an Adopted file, which is used as it is
	Size     int64  // in bytes, DefaultSize if 0; at least 300 MiB for xfs
	FS       string // ext4 if empty, or xfs, btrfs, NoFS
	Cache    string // libvirt's cache attribute, left out if empty
	Serial   string
	ReadOnly bool
}

// withDefaults fills in what the disk at a position leaves open.
func (d Disk) withDefaults(position int) Disk {
	if d.Target == "" {
		d.Target = "vd" + string(rune('a'+position))
	}
	if d.Kind == EmptyCDROM && strings.HasPrefix(d.Target, "vd") {
		d.Target = "sd" + d.Target[2:]
	}
	if d.Size == 0 {
		d.Size = DefaultSize
	}
	if d.FS == "" {
		d.FS = "ext4"
	}
	return d
}

// mkfs is the command that makes the disk's file system on a file, nil for none.
func (d Disk) mkfs(file string) ([]string, error) {
	switch d.FS {
	case NoFS:
		return nil, nil
	case "ext4":
		return []string{"mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", file}, nil
	case "xfs":
		return []string{"mkfs.xfs", "-q", "-f", file}, nil
	case "btrfs":
		return []string{"mkfs.btrfs", "-q", "-f", file}, nil
	}
	return nil, fmt.Errorf("format disk %s: no file system %q", d.Target, d.FS)
}
