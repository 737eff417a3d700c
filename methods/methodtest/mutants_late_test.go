package methodtest

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
)

func dropMutants() []mutation {
	return []mutation{
		{"drop of what is not there fails", DropMissing, broken{drop: dropFails}},
		{"drop of what is not there drops another", DropMissing, broken{drop: dropNeighbour}},
		{"a second drop fails", DropTwice, broken{drop: dropOnce}},
		{"drop leaves what was prepared", DropPrepared, broken{drop: dropTaken}},
		{"drop changes the neighbours", DropMiddleOfChain, broken{drop: dropSpoilsOthers}},
		{"drop writes to the disk", DropMiddleOfChain, broken{drop: dropSpoilsDisk}},
		{"drop of the oldest gives the next its content", DropOldestFirst, broken{drop: dropMerges}},
		{"drop does nothing", NothingLeftBehind, broken{
			drop: func(context.Context, *mutant, methods.DropRequest) error { return nil }}},
		{"take leaves something behind", NothingLeftBehind, broken{take: takeLeaves}},
	}
}

func dropFails(ctx context.Context, m *mutant, req methods.DropRequest) error {
	if !slices.Contains(m.store.Objects(), req.Ref.Name) {
		return methods.ErrNotFound
	}
	return m.Keeping.Drop(ctx, req)
}

func dropNeighbour(ctx context.Context, m *mutant, req methods.DropRequest) error {
	if !slices.Contains(m.store.Objects(), req.Ref.Name) && len(req.Others) > 0 {
		req.Ref = req.Others[0]
	}
	return m.Keeping.Drop(ctx, req)
}

func dropOnce(ctx context.Context, m *mutant, req methods.DropRequest) error {
	if _, before := m.memo.names.LoadOrStore(req.Ref.Name, true); before {
		return methods.ErrNotFound
	}
	return m.Keeping.Drop(ctx, req)
}

func dropTaken(ctx context.Context, m *mutant, req methods.DropRequest) error {
	if m.store.Snapshot(req.Ref.Name) == nil {
		return nil
	}
	return m.Keeping.Drop(ctx, req)
}

func dropSpoilsOthers(ctx context.Context, m *mutant, req methods.DropRequest) error {
	for _, ref := range req.Others {
		content := m.store.Snapshot(ref.Name)
		content[0]++
		m.rewrite(ref, content)
	}
	return m.Keeping.Drop(ctx, req)
}

func dropSpoilsDisk(ctx context.Context, m *mutant, req methods.DropRequest) error {
	m.spoil(req.Disk.Source.File)
	return m.Keeping.Drop(ctx, req)
}

// dropMerges moves what the oldest holds into the one after it, and so loses what that held.
func dropMerges(ctx context.Context, m *mutant, req methods.DropRequest) error {
	if len(req.Others) > 0 && strings.Contains(req.Ref.Name, "old") {
		m.rewrite(req.Others[0], m.store.Snapshot(req.Ref.Name))
	}
	return m.Keeping.Drop(ctx, req)
}

func takeLeaves(ctx context.Context, m *mutant, r *readied) error {
	m.leave(r.refs[0])
	return r.Prepared.Take(ctx)
}

func changesMutants() []mutation {
	return []mutation{
		{"changes miss the last extent", ChangesCover, broken{changes: listed(func(e []methods.Extent, _ int64) []methods.Extent { return e[:max(len(e)-1, 0)] })}},
		{"changes are not in order", ChangesCover, broken{changes: listed(func(e []methods.Extent, _ int64) []methods.Extent {
			slices.Reverse(e)
			return e
		})}},
		{"changes overlap", ChangesCover, broken{changes: listed(func(e []methods.Extent, _ int64) []methods.Extent { return append(e, e...) })}},
		{"changes go past the end", ChangesCover, broken{changes: listed(func(_ []methods.Extent, size int64) []methods.Extent {
			return []methods.Extent{{Offset: 0, Length: size + 1}}
		})}},
		{"changes have empty extents", ChangesCover, broken{changes: listed(func(e []methods.Extent, _ int64) []methods.Extent {
			return append([]methods.Extent{{}}, e...)
		})}},
		{"changes between snapshots are those of the disk", ChangesBetween, broken{changes: changesLive}},
		{"everything may have changed", ChangesNoneWhenEqual, broken{changes: listed(func(_ []methods.Extent, size int64) []methods.Extent {
			return []methods.Extent{{Offset: 0, Length: size}}
		})}},
		{"nothing changed since a snapshot that is not there", ChangesOfMissing, broken{changes: changesOfNothing}},
		{"changes miss the first extent", GenericRevertByChanges, broken{changes: listed(func(e []methods.Extent, _ int64) []methods.Extent { return e[min(len(e), 1):] })}},
	}
}

func listed(wrong func([]methods.Extent, int64) []methods.Extent) func(context.Context, *mutant, methods.ChangesRequest) ([]methods.Extent, error) {
	return func(ctx context.Context, m *mutant, req methods.ChangesRequest) ([]methods.Extent, error) {
		extents, err := m.Keeping.Changes(ctx, req)
		if err != nil {
			return nil, err
		}
		return wrong(extents, req.From.Size), nil
	}
}

func changesLive(ctx context.Context, m *mutant, req methods.ChangesRequest) ([]methods.Extent, error) {
	req.To = nil
	return m.Keeping.Changes(ctx, req)
}

func changesOfNothing(ctx context.Context, m *mutant, req methods.ChangesRequest) ([]methods.Extent, error) {
	extents, err := m.Keeping.Changes(ctx, req)
	if errors.Is(err, methods.ErrNotFound) {
		return nil, nil
	}
	return extents, err
}

func revertMutants() []mutation {
	moving := func(context.Context, *mutant, methods.RevertRequest) error { return nil }
	return []mutation{
		{"revert does nothing", RevertRestores, broken{revert: revertNothing}},
		{"revert does half", RevertRestores, broken{revert: revertHalf}},
		{"a second revert fails", RevertTwice, broken{revert: revertOnce}},
		{"revert remembers where the disk was put last", RevertTwice, broken{revert: revertRemembers}},
		{"revert drops the younger", RevertOlderYounger, broken{revert: revertDropsYounger}},
		{"revert gives the younger the older's content", RevertOlderYounger, broken{revert: revertRewritesYounger}},
		{"revert makes the disk bigger", RevertKeepsIdentity, broken{revert: revertGrows}},
		{"revert uses the snapshot up", RevertKeepsSnapshot, broken{revert: revertConsumes}},
		{"revert makes the snapshot the disk", RevertKeepsSnapshot, broken{revert: revertAliases, open: openAlias}},
		{"revert writes to the disk beside", RevertLeavesOthers, broken{revert: revertBeside}},
		{"revert does not keep the present", RevertCanBeUndone, broken{revert: revertForgets}},
		{"revert keeps what it brought back", RevertCanBeUndone, broken{revert: revertKeepsLate}},
		{"check of a revert says yes to everything", CheckRevertRefuses, broken{checkRevert: moving}},
		{"check of a revert writes", CheckRevertRefuses, broken{checkRevert: checkSpoils}},
		{"unsupported after writing", UnsupportedTouchesNothing, broken{revert: revertHalfUnsupported}},
		{"unsupported after losing the snapshot", UnsupportedTouchesNothing, broken{revert: revertLosesUnsupported}},
	}
}

func revertNothing(context.Context, *mutant, methods.RevertRequest) (methods.Reverted, error) {
	return methods.Reverted{How: methods.HowNative}, nil
}

// half puts the first half of a disk back.
func (m *mutant) half(req methods.RevertRequest) {
	content := m.store.Disk(req.Disk.Source.File)
	copy(content[:len(content)/2], m.store.Snapshot(req.To.Name))
	m.store.SetDisk(req.Disk.Source.File, content)
}

func revertHalf(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	m.half(req)
	return revertNothing(ctx, m, req)
}

func revertOnce(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	if m.memo.count.Add(1) > 1 {
		return methods.Reverted{}, errUntyped
	}
	return m.Keeping.Revert(ctx, req)
}

func revertRemembers(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	if last := m.memo.ref.Swap(&req.To); last != nil && last.Name == req.To.Name {
		return revertNothing(ctx, m, req)
	}
	return m.Keeping.Revert(ctx, req)
}

func revertDropsYounger(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	for _, ref := range req.Others {
		if err := m.Keeping.Drop(ctx, methods.DropRequest{Ref: ref}); err != nil {
			return methods.Reverted{}, err
		}
	}
	return m.Keeping.Revert(ctx, req)
}

func revertRewritesYounger(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	done, err := m.Keeping.Revert(ctx, req)
	for _, ref := range req.Others {
		m.rewrite(ref, m.store.Snapshot(req.To.Name))
	}
	return done, err
}

func revertGrows(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	done, err := m.Keeping.Revert(ctx, req)
	m.store.SetDisk(req.Disk.Source.File, append(m.store.Disk(req.Disk.Source.File), 0))
	return done, err
}

func revertConsumes(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	done, err := m.Keeping.Revert(ctx, req)
	return done, errors.Join(err, m.Keeping.Drop(ctx, methods.DropRequest{Ref: req.To}))
}

func revertAliases(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	m.memo.ref.Store(&req.To)
	return m.Keeping.Revert(ctx, req)
}

func openAlias(ctx context.Context, m *mutant, ref methods.Ref) (methods.Content, error) {
	if alias := m.memo.ref.Load(); alias != nil && alias.Name == ref.Name {
		return openLive(ctx, m, ref)
	}
	return m.Keeping.Open(ctx, ref)
}

func revertBeside(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	m.spoil(memory.Prefix + "vdb")
	return m.Keeping.Revert(ctx, req)
}

func revertForgets(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	req.Keep = nil
	return m.Keeping.Revert(ctx, req)
}

func revertKeepsLate(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	keep := req.Keep
	req.Keep = nil
	done, err := m.Keeping.Revert(ctx, req)
	if keep != nil {
		err = errors.Join(err, m.Keeping.Take(ctx, *keep))
	}
	return done, err
}

func checkSpoils(ctx context.Context, m *mutant, req methods.RevertRequest) error {
	m.spoil(req.Disk.Source.File)
	return m.Keeping.CheckRevert(ctx, req)
}

func revertHalfUnsupported(_ context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	m.half(req)
	return methods.Reverted{}, methods.ErrUnsupported
}

func revertLosesUnsupported(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	return methods.Reverted{}, errors.Join(m.Keeping.Drop(ctx, methods.DropRequest{Ref: req.To}), methods.ErrUnsupported)
}

func interruptMutants() []mutation {
	return []mutation{
		{"take does not look at its context", ContextEnds, broken{prepare: prepareOn, take: takeOn}},
		{"drop does not look at its context", ContextEnds, broken{drop: func(ctx context.Context, m *mutant, req methods.DropRequest) error {
			return m.Keeping.Drop(context.WithoutCancel(ctx), req)
		}}},
		{"revert does not look at its context", ContextEnds, broken{
			revert: func(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
				return m.Keeping.Revert(context.WithoutCancel(ctx), req)
			}}},
		{"a cancelled take leaves what drop does not remove", CancelledTakeLeavesNothing, broken{take: takeCutLeaves}},
		{"a cancelled take writes to the disk", CancelledTakeLeavesNothing, broken{take: takeCutSpoils}},
		{"what nobody wants stays", AbandonedTakeLeavesNothing, broken{close: closeCutLeaves}},
		{"a cancelled drop is not finished by the next", CancelledDropIsFinished, broken{drop: dropCutForgets}},
		{"a cancelled drop takes a neighbour with it", CancelledDropIsFinished, broken{drop: dropCutSpoils}},
		{"a revert that stopped is taken for finished", RevertInterrupted, broken{revert: revertAgainNothing}},
		{"a revert that stopped loses the snapshot", RevertInterrupted, broken{revert: revertCutLoses}},
	}
}

func prepareOn(ctx context.Context, m *mutant, refs []methods.Ref) (methods.Prepared, error) {
	return m.Keeping.Prepare(context.WithoutCancel(ctx), refs)
}

func takeOn(ctx context.Context, _ *mutant, r *readied) error {
	return r.Prepared.Take(context.WithoutCancel(ctx))
}

func closeCutLeaves(ctx context.Context, m *mutant, r *readied) error {
	if ctx.Err() != nil {
		m.leave(r.refs[0])
	}
	return r.Prepared.Close(ctx)
}

func takeCutLeaves(ctx context.Context, m *mutant, r *readied) error {
	err := r.Prepared.Take(ctx)
	if err != nil {
		m.leave(r.refs[0])
	}
	return err
}

func takeCutSpoils(ctx context.Context, m *mutant, r *readied) error {
	err := r.Prepared.Take(ctx)
	if err != nil {
		m.spoil(r.refs[0].Origin)
	}
	return err
}

func dropCutForgets(ctx context.Context, m *mutant, req methods.DropRequest) error {
	if _, before := m.memo.names.LoadOrStore(req.Ref.Name, true); before {
		return nil
	}
	return m.Keeping.Drop(ctx, req)
}

func dropCutSpoils(ctx context.Context, m *mutant, req methods.DropRequest) error {
	err := m.Keeping.Drop(ctx, req)
	if err != nil && len(req.Others) > 0 {
		err = errors.Join(err, m.Keeping.Drop(context.Background(), methods.DropRequest{Ref: req.Others[0]}))
	}
	return err
}

func revertAgainNothing(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	if req.Again {
		return revertNothing(ctx, m, req)
	}
	return m.Keeping.Revert(ctx, req)
}

func revertCutLoses(ctx context.Context, m *mutant, req methods.RevertRequest) (methods.Reverted, error) {
	done, err := m.Keeping.Revert(ctx, req)
	if err != nil {
		m.rewrite(req.To, m.store.Disk(req.Disk.Source.File))
	}
	return done, err
}
