// Package xmlspec reads and writes the documents of domsnap: the descriptor, which people write and which is
// therefore read strictly, the lineage in a domain's metadata, and the little of a domain's own XML that
// matters here.
package xmlspec

import (
	"fmt"
	"slices"
	"time"
)

// Descriptor says which method takes which disk: libvirt's <domainsnapshot> with <diskSnapshot> inside
// <disk>. A disk it does not name gets the default.
type Descriptor struct {
	// Name is empty where none was given.
	Name        string
	Description string
	Disks       []DescriptorDisk

	// What follows is about a snapshot that exists. It is written and never read back.

	CreationTime time.Time
	State        string
	// Parent is the parent's name.
	Parent string
}

// DescriptorDisk is one <disk> of a descriptor.
type DescriptorDisk struct {
	// Target is what libvirt calls the disk, such as vda.
	Target   string
	Snapshot DiskSnapshot
	// Spec is nil where the disk gets its default method. What libvirt says with snapshot='external',
	// snapshot='internal' and <source file='...'/> is in it as the method qemu understands it.
	Spec *MethodSpec

	// What follows is about a snapshot that exists. It is written and never read back.

	// Ref is the storage's name of the disk's snapshot.
	Ref string
	// BackupSource is a <source> element.
	BackupSource string
	// ModifiedDisk is a <disk> element, written without its <backingStore>.
	ModifiedDisk string

	node *Node
}

// DiskSnapshot is the attribute snapshot of a <disk>, as libvirt knows it.
type DiskSnapshot string

// The values of DiskSnapshot. External and internal mean the method qemu, external only as far as
// <diskSnapshot> names no other; the absent value and manual leave the method to <diskSnapshot>, else to the
// default; no leaves the disk out.
const (
	SnapshotDefault  DiskSnapshot = ""
	SnapshotNo       DiskSnapshot = "no"
	SnapshotManual   DiskSnapshot = "manual"
	SnapshotExternal DiskSnapshot = "external"
	SnapshotInternal DiskSnapshot = "internal"
)

// UnmarshalText fails for what libvirt does not know.
func (s *DiskSnapshot) UnmarshalText(text []byte) error {
	known := []DiskSnapshot{SnapshotNo, SnapshotManual, SnapshotExternal, SnapshotInternal}
	if *s = DiskSnapshot(text); !slices.Contains(known, *s) {
		return fmt.Errorf("%.64q is none of no, manual, external, internal", text)
	}
	return nil
}

// Errorf says what is wrong with the disk, and where the document names it.
func (d DescriptorDisk) Errorf(format string, args ...any) *SyntaxError {
	if d.node == nil {
		return &SyntaxError{Path: "disk " + d.Target, Message: fmt.Sprintf(format, args...)}
	}
	return d.node.Errorf(format, args...)
}

// Disk is what the descriptor says about a disk, and whether it names it.
func (d *Descriptor) Disk(target string) (DescriptorDisk, bool) {
	if i := d.index(target); i >= 0 {
		return d.Disks[i], true
	}
	return DescriptorDisk{}, false
}

// Override puts the disk in the place of the one with the same target, else at the end. Nothing of the
// replaced one stays.
func (d *Descriptor) Override(disk DescriptorDisk) {
	if i := d.index(disk.Target); i >= 0 {
		d.Disks[i] = disk
	} else {
		d.Disks = append(d.Disks, disk)
	}
}

func (d *Descriptor) index(target string) int {
	return slices.IndexFunc(d.Disks, func(disk DescriptorDisk) bool { return disk.Target == target })
}
