package methods

import "context"

// Verbs says which optional verbs there are.
type Verbs struct {
	Claim   bool `json:"claim"`
	Check   bool `json:"check"`
	Prepare bool `json:"prepare"`
	Merge   bool `json:"merge"`
	Source  bool `json:"source"`
	Changes bool `json:"changes"`
	Revert  bool `json:"revert"`
	Keep    bool `json:"keep"`
	List    bool `json:"list"`
	Warn    bool `json:"warn"`
}

// Linker is a method that wants something linked into the program. Linked fails with ErrUnsupported where that is missing.
type Linker interface {
	Linked() error
}

// Declarer is for a method that knows only at run time which optional verbs it has, as an engine does. Without it a
// method has the verbs whose interfaces it implements.
type Declarer interface {
	// Verbs is asked before any optional verb. It never claims more than the method implements.
	Verbs() Verbs
}

// Prober is for a method whose optional verbs work for some disks only. Without it every disk has them all.
type Prober interface {
	// Probe says what there is for the disk of a planned ref. It changes nothing.
	Probe(ctx context.Context, ref Ref) (Verbs, error)
}

// Claimer is for a method that can say which disks it is the natural choice for. Without it the method is
// used only where a descriptor names it.
type Claimer interface {
	// Claim says how well the method fits the disk, and why in a few words for people. It changes
	// nothing; Rank 0 is "not at all".
	Claim(ctx context.Context, disk Disk) Claim
}

// Claim is a method's answer to a disk without <diskSnapshot>. The highest rank wins.
type Claim struct {
	Rank int
	Why  string
}

// The ranks of a Claim.
const (
	// RankLast: it works for any disk, and costs more than everything else.
	RankLast = 1
	// RankUsable: it works, and most others would do better.
	RankUsable = 10
	// RankNative: the disk is in the method's own format, or on its file system.
	RankNative = 50
	// RankOnly: the disk is an object of the method's storage.
	RankOnly = 90
)

// Checker is for a method that needs something of the host.
type Checker interface {
	// Check says what is missing on this host, and which package has it; nil when all is there.
	Check(ctx context.Context) error
}

// Preparer is for a method with slow work that can be done while the guest runs. Do not write it for work
// that takes no time. Without it all work is in Take.
type Preparer interface {
	// Prepare makes everything ready for the refs: one ref, or all refs of the method if its traits
	// say Atomic. After an error Drop of each ref leaves no trace.
	Prepare(ctx context.Context, refs []Ref) (Prepared, error)
}

// Prepared is a snapshot that is ready to be taken.
type Prepared interface {
	// Take is the act. Nothing happens in it that could have happened in Prepare.
	Take(ctx context.Context) error
	// Close ends it, when the guest is let go again, taken or not. It lets go of what Prepare opened and makes
	// durable what Take made; its error means that the snapshot is not safe. When ctx has ended nobody wants the
	// snapshot any more: Close lets go, soon, and Drop follows.
	Close(ctx context.Context) error
}

// Merger is for a method whose snapshots hold data of what came after them, so that dropping one moves data
// and may rename its neighbours. Without it a drop concerns nobody else.
type Merger interface {
	// PlanDrop says what Drop of the same request would do. It changes nothing. It fails with ErrBlocked where a person
	// has to move something first, as CheckDrop does.
	PlanDrop(ctx context.Context, req DropRequest) (DropPlan, error)
}

// DropPlan is what a drop means for others.
type DropPlan struct {
	// NeededBy says, for people, what stands in the way; Drop fails while it is not empty.
	NeededBy []string
	// Renamed are the other refs as they will be recorded after the drop; only those that change.
	Renamed []Ref
	// Active is the disk's source after the drop, if it changes.
	Active string
	// Disturbs are the ids of the other snapshots that nobody may be reading meanwhile: what they are read through is
	// written to, or goes. Those that are renamed are disturbed anyway.
	Disturbs []string
}

// DropChecker is for a method that can find beforehand what stands in the way of a drop. Without it the drop itself finds
// it, when snapshots of other disks may be gone already. What a Merger finds it may say in PlanDrop as well.
type DropChecker interface {
	// CheckDrop finds every reason that can be known why Drop of the same request would fail: somebody has the snapshot
	// open, others were made of it, it is not the one that was recorded. It changes nothing. It fails with ErrBlocked; a
	// snapshot that is not there is not an error.
	CheckDrop(ctx context.Context, req DropRequest) error
}

// Sourcer is for a method whose snapshots others can read in their place. Without it they are read through
// domsnap only.
type Sourcer interface {
	// Source says where the snapshot is. Reading there never changes it.
	Source(ctx context.Context, ref Ref) (BackupSource, error)
}

// BackupSource is a read-only way to the content of a snapshot.
type BackupSource struct {
	// XML is libvirt's <source> element.
	XML string `json:"xml"`
	// URI is the same for qemu-img and those who read paths.
	URI string `json:"uri"`
	// Format is "raw" or "qcow2".
	Format string `json:"format"`
	// Source is the same for those who open it here; the zero value where the URI is a path and says it all.
	Source Source `json:"-"`
}

// Differ is for a method whose storage knows which extents differ, without reading them. Without it whoever wants
// to know reads both sides.
type Differ interface {
	// Changes lists extents, in bytes of the disk, ascending and apart: outside of them both sides hold the
	// same; inside they may. It changes nothing. It fails with ErrUnsupported where the storage cannot say,
	// for these two or ever.
	Changes(ctx context.Context, req ChangesRequest) ([]Extent, error)
}

// ChangesRequest asks what differs between a snapshot and a later state of its disk, or an earlier one.
type ChangesRequest struct {
	From Ref
	// To is another snapshot of the disk by the same method; nil for the disk as it is now, which is then
	// off or paused.
	To *Ref
	// Disk is the disk as it is now.
	Disk Disk
}

// Reverter is for a method that can put a disk back in place. Do not write it for reading the snapshot and writing
// the disk: that is what is done without it.
type Reverter interface {
	// CheckRevert finds every reason why Revert of the same request would fail: the snapshot is gone,
	// the disk is another one or of another size, somebody has it open. It changes nothing. It fails
	// with ErrNotFound, ErrBroken or ErrBlocked; and with ErrUnsupported where the storage has no revert
	// of its own for this disk and this snapshot, so that another way is taken.
	CheckRevert(ctx context.Context, req RevertRequest) error
	// Revert gives the disk the content of the snapshot. The disk keeps its name, its size and its
	// place; the snapshot and every other snapshot of the disk keep their content, but for what Traits
	// say. Doing it again after any interruption, with the same request, must end in the same state.
	// ErrUnsupported means that nothing was touched.
	Revert(ctx context.Context, req RevertRequest) (Reverted, error)
}

// Keeper is for a Reverter that keeps the present as part of the revert itself, by moving it aside instead
// of copying it. Without it the orchestrator takes an ordinary snapshot first.
type Keeper interface {
	// PlanKeep names the snapshot that Revert makes of the present when the request's Keep is set.
	// The rules are those of Plan.
	PlanKeep(ctx context.Context, req PlanRequest) (Ref, error)
}

// RevertRequest names what a disk goes back to.
type RevertRequest struct {
	To Ref
	// Disk is the disk as it is now.
	Disk Disk
	// Others are the disk's other snapshots by the same method.
	Others []Ref
	// Keep is what the present becomes, planned by PlanKeep; nil when it may go.
	Keep *Ref
	// How is what CheckRevert answered, and Again that an attempt by this way may have got anywhere.
	How   How
	Again bool
	// Disks opens the disk for the generic revert.
	Disks    Disks
	Progress Progress
}

// How says which way a revert goes.
type How string

// The ways of a revert, as the command line prints them.
const (
	// HowNative: the storage does it.
	HowNative How = "native"
	// HowChangedExtents: only what the storage says has changed is written.
	HowChangedExtents How = "changed-extents"
	// HowCompare: disk and snapshot are read, and what differs is written.
	HowCompare How = "compare"
)

// Reverted says what a revert did.
type Reverted struct {
	How How
	// BytesWritten is what was copied, 0 where the storage only changed its maps.
	BytesWritten int64
}

// Lister is for a method that can find what there is, so that nothing is left behind unseen.
type Lister interface {
	// List gives the ObjectName of everything that belongs to a snapshot of the disk: taken, half made, or
	// only prepared.
	List(ctx context.Context, disk Disk) ([]string, error)
}

// Warner is for a method that can see trouble coming.
type Warner interface {
	// Warn says what about the disk and its snapshots stops working when nobody does anything: room that runs out, a limit
	// that is near. It changes nothing.
	Warn(ctx context.Context, disk Disk) ([]Warning, error)
}

// Warning is trouble that is coming, and what to do about it, both for people.
type Warning struct{ What, Fix string }
