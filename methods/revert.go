package methods

import "context"

// Reverter is for a method that can put a disk back in place.
type Reverter interface {
	// CheckRevert finds every reason why Revert of the same request would fail: the snapshot is gone,
	// the disk is another one or of another size, somebody has it open. It changes nothing. It fails
	// with ErrNotFound, ErrBroken or ErrBlocked.
	CheckRevert(ctx context.Context, req RevertRequest) error

	// Revert gives the disk the content of the snapshot. The disk keeps its name, its size and its
	// place; the snapshot and every other snapshot of the disk keep their content. Doing it again
	// after any interruption, with the same request, must end in the same state.
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
	// Keep is what the present becomes, planned by PlanKeep; nil when it may go.
	Keep     *Ref
	Progress Progress
}

// How says which way a revert went.
type How string

// The ways of a revert, as the command line prints them.
const (
	// HowNative: the storage did it.
	HowNative How = "native"
	// HowChangedExtents: only what the storage says has changed was written.
	HowChangedExtents How = "changed-extents"
)

// Reverted says what a revert did.
type Reverted struct {
	How How
	// BytesWritten is what was copied, 0 where the storage only changed its maps.
	BytesWritten int64
}

// CanRevert says whether the method has an in-place revert.
func CanRevert(m Method) bool {
	_, ok := m.(Reverter)
	return ok
}

// CheckRevert asks the method. A method without Revert is ErrUnsupported.
func CheckRevert(ctx context.Context, m Method, req RevertRequest) error {
	if r, ok := m.(Reverter); ok {
		return r.CheckRevert(ctx, req)
	}
	return unsupported(m, "revert")
}

// Revert asks the method. A method without Revert is ErrUnsupported.
func Revert(ctx context.Context, m Method, req RevertRequest) (Reverted, error) {
	if r, ok := m.(Reverter); ok {
		return r.Revert(ctx, req)
	}
	return Reverted{}, unsupported(m, "revert")
}

// PlanSafety names the snapshot of the present that goes before a revert. The answer's second value says
// that Revert makes it, so that it must not be taken first.
func PlanSafety(ctx context.Context, m Method, req PlanRequest) (Ref, bool, error) {
	if k, ok := m.(Keeper); ok {
		ref, err := k.PlanKeep(ctx, req)
		return ref, true, err
	}
	ref, err := m.Plan(ctx, req)
	return ref, false, err
}
