// Package shield keeps the disks of a domain still while its guest goes on: at one instant every disk is put onto an
// overlay, which takes what the guest writes from then on. Afterwards the overlays are committed into the disks and go.
//
// libvirt does not know of the overlays, so whatever dies at any moment, a start of the domain has to find everything that
// the guest was told is written. Therefore the persistent definition names the overlays from before the disks are put
// onto them until they have been taken off again, and the guest stands still between that and the emptying of the
// overlays, through which the disks are read from then on. An overlay is never stale, whether the definition names it or
// somebody else has written that meanwhile.
//
// Nor may libvirt save or move the guest meanwhile, with its word that the disks are where they are not.
package shield

import (
	"context"

	"github.com/domsnap/domsnap/methods"
)

// Overlay is what takes one disk's writes. It is in the journal before anything is made, so that whoever comes after us
// knows all of it.
type Overlay struct {
	Disk methods.Disk `json:"disk"`
	// File is a qcow2 file, Size what its guest sees of it in bytes.
	File string `json:"file"`
	Size int64  `json:"size"`
	// Node is the name of the file's block node in QEMU, Base that of the disk.
	Node string `json:"node"`
	Base string `json:"base"`
	// Options are those of the disk's block node.
	Options Options `json:"options"`
	// Stays: the disk stays on the overlay, which libvirt is told of in the end. The file is somebody else's. The disk is a
	// qcow2 image then.
	Stays bool `json:"stays,omitempty"`
	// Defined is the disk's element in the persistent definition.
	Defined string `json:"defined"`
	// Raised is the same element on the overlay, with all that is below. Settled leaves that to the overlay's header, as it
	// has to be where the disk stays: what is below changes with later snapshots.
	Raised  string `json:"raised"`
	Settled string `json:"settled,omitempty"`
}

// Options are what a block node of QEMU has besides its file.
type Options struct {
	Direct       bool   `json:"direct"`
	NoFlush      bool   `json:"no_flush"`
	DetectZeroes string `json:"detect_zeroes"`
	Discard      bool   `json:"discard"`
	// AIO is how the file is waited for, in QEMU's words; empty for its own way.
	AIO string `json:"aio,omitempty"`
}

// Node is the topmost block node of a disk in QEMU.
type Node struct {
	Target string
	Name   string
	Driver string
	Size   int64
	Options
}

// Place is what a disk is on.
type Place int

// The places.
const (
	// OnBase: the guest writes to the disk itself.
	OnBase Place = iota
	// OnOverlay: it writes to the overlay, of which libvirt does not know.
	OnOverlay
	// OnKnown: it writes to the overlay, which libvirt has started the domain with.
	OnKnown
	// Anew: it writes to the disk itself, in a QEMU that has not had the overlay.
	Anew
	// Detached: the guest has no such disk any more; QEMU may have overlay and disk open.
	Detached
)

// Nodes are the block nodes of a domain that is active.
type Nodes interface {
	// Survey finds the disks' nodes. It fails with methods.ErrBlocked where another job has to do with one of them, and with
	// methods.ErrUnsupported where no overlay can be put on one.
	Survey(ctx context.Context, targets []string) ([]Node, error)
	// Add has QEMU open the overlay's file. No disk uses it yet. It fails with methods.ErrBlocked where QEMU may not.
	Add(ctx context.Context, o Overlay) error
	// Remove has QEMU close it. One that is not open is no error.
	Remove(ctx context.Context, o Overlay) error
	// Switch puts all disks onto their overlays at one instant, or none.
	Switch(ctx context.Context, all []Overlay) error
	// Detach puts a disk back onto its base, as it is, and closes the overlay. The guest must stand still: where it does not
	// that is methods.ErrBlocked, and the disk stays where it is.
	Detach(ctx context.Context, o Overlay) error
	// Close has QEMU close an overlay and the disk below it, of which the guest has neither.
	Close(ctx context.Context, o Overlay) error
	// Places says what each disk is on now.
	Places(ctx context.Context, all []Overlay) ([]Place, error)
}

// Job is the commit of an overlay.
type Job struct {
	// Ready: both sides are the same but for what the guest writes right now.
	Ready bool
	// Done and Total are bytes; Total grows while the guest writes.
	Done, Total int64
}

// Commits are the jobs that bring the content of overlays into their disks while the guest goes on.
type Commits interface {
	// Commit begins one. One that is at work already is as good.
	Commit(ctx context.Context, o Overlay) error
	// Jobs says how far they are, by the nodes of the overlays; one that is missing is not at work.
	Jobs(ctx context.Context) (map[string]Job, error)
	// Pivot ends one that is ready: the disk is on its base from then on. It returns when that is so.
	Pivot(ctx context.Context, all []Overlay) error
	// Cancel ends what is at work, and returns when it has ended. Whether the disk is on its overlay then, Places says.
	Cancel(ctx context.Context, all []Overlay) error
	// CommitKnown brings the content of an overlay that libvirt knows into its disk, which is on its base then.
	CommitKnown(ctx context.Context, o Overlay) error
}

// Definition is what the next start begins with.
type Definition interface {
	// Define replaces disks. What was defined before, by anybody, is durable too when it returns.
	Define(ctx context.Context, elements []string) error
	// DefinedOn are those of the overlays that it names as the sources of their disks.
	DefinedOn(ctx context.Context, all []Overlay) ([]Overlay, error)
}

// Migration is how a guest is saved, or moved to another host: by what libvirt knows of its disks.
type Migration interface {
	// Forbid has QEMU refuse it, by means of the file of Files.MakeAnchor. It fails with methods.ErrBlocked where QEMU cannot.
	Forbid(ctx context.Context, anchor string) error
	// Allow allows it again. Where it is not forbidden that is no error.
	Allow(ctx context.Context) error
}

// Domain is the domain whose disks are shielded.
type Domain interface {
	Nodes
	Commits
	Definition
	Migration
}
