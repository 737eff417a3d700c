// Package methods is the contract between domsnap and a storage.
//
// The words: a disk is one writable disk of a libvirt domain, named by its target. A snapshot is one point
// in time of one domain; it has an id. A Ref is the storage's name of one disk's part of a snapshot, and it
// is known before the snapshot is made. A method is one storage technology's way to take, find, drop and,
// where it can, revert a Ref.
//
// Taking a snapshot:
//
//	ref, _ := m.Plan(ctx, req)                   // checks and names, changes nothing
//	ready, _ := methods.Prepare(ctx, m, refs)    // slow work, the guest runs
//	// ... the disk is still from here ...
//	ready.Take(ctx)                              // the act
//	// ... to here ...
//	ready.Close(ctx)
//	m.Stat(ctx, ref)                             // it is there
//
// Reverting, the domain being off; twice is the same as once, and the snapshot is still there afterwards:
//
//	req.How, _ = methods.CheckRevert(ctx, m, req) // of every disk, before anything moves
//	methods.Revert(ctx, m, req)                   // the disk keeps its name
//
// Deleting:
//
//	plan, _ := methods.PlanDrop(ctx, m, req)     // who still needs it, whose name changes
//	methods.CheckDrop(ctx, m, req)               // of every disk, before anything goes
//	m.Drop(ctx, req)                             // dropping what is gone is no error
//
// What a method must do is Method, six verbs. What it may do is one small interface for each verb, in optional.go.
// Callers never ask for those interfaces: the functions in fallback.go do, and stand in for what is not there.
package methods

import (
	"context"
	"encoding/json"
)

// Method is what a storage must be able to do. Verbs take a context and stop early when it ends, leaving
// either what was there before or what Drop can remove.
type Method interface {
	// Traits are facts about the method. It does no I/O and always answers the same.
	Traits() Traits

	// Plan checks that a snapshot of the disk can be taken and names it. It changes nothing, and the
	// same request gets the same answer. It fails with ErrBlocked where the disk or the host stands in
	// the way, with ErrUnsupported where the method is not for this disk, with ErrExists where the
	// name is taken.
	Plan(ctx context.Context, req PlanRequest) (Ref, error)

	// Take makes the snapshot while the disk is still. It fails with ErrExists when it is there
	// already. After any other error Drop leaves no trace of it.
	Take(ctx context.Context, ref Ref) error

	// Stat asks the storage for the snapshot. It fails with ErrNotFound when there is none, and with
	// ErrBroken when it is there and cannot be read any more.
	Stat(ctx context.Context, ref Ref) (Info, error)

	// Drop removes the snapshot and whatever Prepare made for it. A snapshot that is not there is not
	// an error. The disk's present content and every other snapshot must not change.
	Drop(ctx context.Context, req DropRequest) error

	// Open reads the snapshot: the content of the disk as the guest saw it, whatever the format. Reading
	// changes nothing, and what Open has to make for it Close takes away. It fails with ErrNotFound and
	// ErrBroken as Stat does.
	Open(ctx context.Context, ref Ref) (Content, error)
}

// Traits are the facts the orchestrator decides on.
type Traits struct {
	// Name is what a descriptor calls the method.
	Name string `json:"name"`
	// Mode tells methods of one name apart, as a descriptor's mode attribute does; empty for the one that takes
	// every mode that no other has.
	Mode string `json:"mode,omitempty"`
	// Summary is one line for people.
	Summary string `json:"summary"`
	// BelowQEMU: the act reads the storage under QEMU, so what QEMU's host cache keeps from the
	// storage is not in the snapshot.
	BelowQEMU bool `json:"below_qemu"`
	// MovesSource: the act puts the disk onto another source. It runs late in the window, and what
	// follows it rolls forward.
	MovesSource bool `json:"moves_source"`
	// Atomic: Prepare takes the refs of all disks of the method, and its Take is all or nothing.
	Atomic bool `json:"atomic"`
	// NeedsOff: the act works only while the domain is off.
	NeedsOff bool `json:"needs_off"`
	// ReadsDisk: the act reads the whole disk while it is still, so a guest that runs is paused for it.
	ReadsDisk bool `json:"reads_disk"`
	// HoldsJob: from the act until Close libvirt does no other work on the domain's disks, so the act
	// is the last in the window.
	HoldsJob bool `json:"holds_job"`
	// RevertConsumes: the storage's own revert uses the snapshot up.
	RevertConsumes bool `json:"revert_consumes"`
	// RevertDropsYounger: the storage's own revert loses the snapshots that are younger.
	RevertDropsYounger bool `json:"revert_drops_younger"`
	// TakeCost and RevertCost say what the acts cost grows with.
	TakeCost   Cost `json:"take_cost"`
	RevertCost Cost `json:"revert_cost"`
}

// Cost is what the time of an act grows with.
type Cost string

// The costs.
const (
	// CostNothing: always the same.
	CostNothing Cost = "nothing"
	// CostChanged: with the data that changed since the snapshot.
	CostChanged Cost = "changed data"
	// CostSize: with the size of the disk, or of what is in it.
	CostSize Cost = "size"
)

// PlanRequest asks for a snapshot of one disk.
type PlanRequest struct {
	Disk Disk
	// ID is the snapshot's: lower case letters and digits, a letter first.
	ID string
	// Spec is the body of <diskSnapshot>; nil when there was none.
	Spec Spec
	// Like is an earlier snapshot of the disk by the method, whose place and options count where there is no Spec; nil
	// for none.
	Like *Ref
}

// Spec is a descriptor's <diskSnapshot> element.
type Spec interface {
	// Decode fills the struct by its xml tags. What the struct does not know is an error that says
	// where it stands.
	Decode(into any) error
	// Marshaler writes the element for engines: {"attributes":{…},"children":[{"name":…,…}],"text":…}.
	json.Marshaler
}

// Decode fills a method's options from the spec, if there is one.
func Decode(s Spec, into any) error {
	if s == nil {
		return nil
	}
	return s.Decode(into)
}

// Info is what the storage says of a snapshot.
type Info struct {
	// BytesUsed is the room only this snapshot takes, -1 when the storage cannot say.
	BytesUsed int64
}

// DropRequest names a snapshot to remove.
type DropRequest struct {
	Ref Ref
	// Disk is the disk as it is now. The zero value says that there is no such disk any more.
	Disk Disk
	// Others are the disk's other snapshots by the same method.
	Others []Ref
	// Stage is how far the snapshot had come.
	Stage Stage
	// Again: an attempt before may have got anywhere.
	Again    bool
	Progress Progress
}

// Stage is how far a snapshot had come that is to be dropped.
type Stage int

// The stages.
const (
	// Recorded: it was taken, and the lineage has it.
	Recorded Stage = iota
	// Readied: it is not recorded, and its Take was not begun.
	Readied
	// Abandoned: it is not recorded, and nobody saw the end of its Take, if that was begun at all: whoever waited for it has
	// died or given up. When Drop returns, it does not come any more either.
	Abandoned
)

// Progress is told how far a long act is, in bytes. It may be nil.
type Progress func(done, total int64)

// Report tells p, if there is one.
func (p Progress) Report(done, total int64) {
	if p != nil {
		p(done, total)
	}
}
