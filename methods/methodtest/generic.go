package methodtest

import (
	"context"
	"errors"

	"github.com/domsnap/domsnap/methods"
)

// The checks of the generic revert of the method's snapshots, and of its own revert beside it.
const (
	GenericRevert             Check = "GenericRevert"
	GenericRevertByChanges    Check = "GenericRevertByChanges"
	UnsupportedTouchesNothing Check = "UnsupportedTouchesNothing"
)

func genericChecks() []check {
	return []check{
		{GenericRevert, always, genericRevert},
		{GenericRevertByChanges, claims("list of changes", func(f facts) bool { return f.verbs.Changes }), genericRevertByChanges},
		{UnsupportedTouchesNothing, claims("revert that leaves every snapshot", revertsHarmlessly), unsupportedTouchesNothing},
	}
}

func revertsHarmlessly(f facts) bool {
	return f.verbs.Revert && !f.traits.RevertConsumes && !f.traits.RevertDropsYounger
}

// bare is a method without any optional verb.
type bare struct{ methods.Method }

// listing is a method that can list changes, and has no other optional verb.
type listing struct{ bare }

// Changes implements methods.Differ.
func (l listing) Changes(ctx context.Context, req methods.ChangesRequest) ([]methods.Extent, error) {
	return methods.Changes(ctx, l.Method, req)
}

func genericRevert(b *bench) { b.revertThrough(bare{b.Method}) }

func genericRevertByChanges(b *bench) { b.revertThrough(listing{bare{b.Method}}) }

func (b *bench) revertThrough(m methods.Method) {
	b.Helper()
	s := b.chain()
	for _, i := range []int{1, 1, 0, 2} {
		s.revertBy(m, s.revertRequest(s.taken[i]), s.taken[i])
		s.wantSnapshots()
		s.scribble("after")
	}
}

// unsupportedTouchesNothing: what follows an unsupported revert relies on the disk being as it was.
func unsupportedTouchesNothing(b *bench) {
	s := b.chain()
	snap := s.taken[1]
	req := s.revertRequest(snap)
	req.How = methods.HowNative
	reverter, ok := b.Method.(methods.Reverter)
	if !ok {
		b.Fatalf("the method claims a revert, and has none")
	}
	_, err := reverter.Revert(b.Context(), req)
	switch {
	case errors.Is(err, methods.ErrUnsupported):
		s.wantDisk()
	case err != nil:
		b.Errorf("revert: %v", err)
	default:
		s.reverted(snap)
	}
	s.wantSnapshots()
}
