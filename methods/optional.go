package methods

import (
	"context"
	"errors"
	"fmt"
)

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
	// durable what Take made; its error means that the snapshot is not safe.
	Close() error
}

// Prepare makes refs of one method ready, by its Preparer or else by doing all work in Take.
func Prepare(ctx context.Context, m Method, refs []Ref) (Prepared, error) {
	if p, ok := m.(Preparer); ok {
		return p.Prepare(ctx, refs)
	}
	return plain{m, refs}, nil
}

type plain struct {
	method Method
	refs   []Ref
}

func (p plain) Take(ctx context.Context) error {
	for _, ref := range p.refs {
		if err := p.method.Take(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

func (p plain) Close() error { return nil }

// TakeNow prepares and takes one ref: Take for a method whose work is in Prepare.
func TakeNow(ctx context.Context, p Preparer, ref Ref) (err error) {
	ready, err := p.Prepare(ctx, []Ref{ref})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ready.Close()) }()
	return ready.Take(ctx)
}

// Merger is for a method whose snapshots hold data of what came after them, so that dropping one moves data
// and may rename its neighbours. Without it a drop concerns nobody else.
type Merger interface {
	// PlanDrop says what Drop of the same request would do. It changes nothing.
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
}

// PlanDrop asks the method, or says that nobody else is concerned.
func PlanDrop(ctx context.Context, m Method, req DropRequest) (DropPlan, error) {
	if p, ok := m.(Merger); ok {
		return p.PlanDrop(ctx, req)
	}
	return DropPlan{}, nil
}

// CheckHost asks the method whether it works on this host.
func CheckHost(ctx context.Context, m Method) error {
	if c, ok := m.(Checker); ok {
		return c.Check(ctx)
	}
	return nil
}

// ClaimDisk asks the method how well it fits.
func ClaimDisk(ctx context.Context, m Method, disk Disk) Claim {
	if c, ok := m.(Claimer); ok {
		return c.Claim(ctx, disk)
	}
	return Claim{}
}

func unsupported(m Method, what string) error {
	return fmt.Errorf("%s %s: %w", m.Traits().Name, what, ErrUnsupported)
}
