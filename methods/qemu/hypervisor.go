package qemu

import (
	"context"

	"github.com/domsnap/domsnap/methods"
)

// Hypervisor is what the method asks of libvirt. Domains are named by UUID, disks by target.
type Hypervisor interface {
	// ReadySwitch makes ready to put the disks onto image files that exist and have the present source as backing
	// file. It changes nothing.
	ReadySwitch(ctx context.Context, uuid string, overlays []Overlay) (Switch, error)
	// ActiveSource is the path of the file or device that the disk writes to now.
	ActiveSource(ctx context.Context, uuid, target string) (string, error)
	// CheckCommit fails with methods.ErrBlocked where another job on the disk is in the way of Commit. It changes nothing.
	CheckCommit(ctx context.Context, c Commit) error
	// Commit moves the content of the live image Top into Base below it and takes Top out of the chain,
	// also where Top is what the disk writes to. It ends when the chain and the definitions are changed.
	Commit(ctx context.Context, c Commit) error
	// SetSource points the definition of a domain that is off to another image.
	SetSource(ctx context.Context, uuid, target string, image Image) error
}

// Switch does at one instant what it was made ready for.
type Switch interface {
	// Do does all of it, or nothing: overlays in the live and the persistent definition. After an error only asking
	// the storage tells what happened.
	Do(ctx context.Context) error
	// Close lets go of what was made ready.
	Close() error
}

// Overlay is a disk's next image.
type Overlay struct {
	Target string
	// File is a qcow2 file.
	File string
}

// Commit is a live block commit. An empty Base is the image just below.
type Commit struct {
	UUID, Target string
	Top, Base    string
	Progress     methods.Progress
}

// Image is a file and its format.
type Image struct {
	Path, Format string
}

// InternalHypervisor is what internal snapshots of a running domain need.
type InternalHypervisor interface {
	// ReadyInternal makes ready to take the snapshots, all at one instant. It changes nothing, and fails where QEMU
	// does not have just these files open as the domain's disks.
	ReadyInternal(ctx context.Context, uuid string, snapshots []InternalSnapshot) (Switch, error)
	// CheckDropInternal fails with methods.ErrBlocked where a job on the disk is in the way of DropInternal.
	CheckDropInternal(ctx context.Context, uuid, target string) error
	// DropInternal removes a snapshot that is there.
	DropInternal(ctx context.Context, uuid string, s InternalSnapshot) error
}

// InternalSnapshot is a snapshot inside the file that a disk writes to.
type InternalSnapshot struct {
	Target, File string
	// ID is the number that QEMU gave it, unknown before it is taken.
	Name, ID string
}
