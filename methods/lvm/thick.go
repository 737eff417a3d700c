package lvm

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/domsnap/domsnap/methods"
)

// planCopy finds what a thick revert would write, and whether everybody who keeps what it overwrites has room
// for that. The snapshot itself needs none: it keeps these chunks already.
func (m *Method) planCopy(ctx context.Context, r revert) (exceptions, error) {
	origin, _ := r.present()
	if !origin.Active {
		return exceptions{}, &methods.Blocked{
			What: fmt.Sprintf("%s is not active, so it cannot be written", r.to.origin),
			Hint: "lvchange -ay " + r.to.origin.String(),
		}
	}
	changed, err := m.exceptions(ctx, r.to.snapshot, origin)
	if err != nil {
		return exceptions{}, err
	}
	for _, other := range r.group.thickSnapshotsOf(r.to.origin.volume) {
		if other.Name == r.to.snapshot.volume || other.overflowed() {
			continue
		}
		if err := m.checkOther(ctx, r, other, changed); err != nil {
			return exceptions{}, err
		}
	}
	return changed, r.checkKeep(changed)
}

// checkOther says why another snapshot of the origin would run full.
func (m *Method) checkOther(ctx context.Context, r revert, other volume, changed exceptions) error {
	origin, _ := r.present()
	n := r.to.origin.sibling(other.Name)
	kept, err := m.exceptions(ctx, n, origin)
	if err != nil {
		return err
	}
	need := storeBytes(int64(len(kept.old))+changed.missingFrom(kept), kept.chunk)
	if need < int64(other.Size) {
		return nil
	}
	return &methods.Blocked{
		What: fmt.Sprintf("snapshot %s has %d bytes and would need %d to keep what the revert overwrites", n, other.Size, need),
		Hint: fmt.Sprintf("lvextend -L %db %s", roundUp(need+other.slack(), int64(max(other.GroupExtent, 1))), n),
	}
}

// slack is what to add to a snapshot that was too small, so that the guest can go on for a while.
func (v volume) slack() int64 { return int64(v.Size) / 4 }

func (r revert) checkKeep(changed exceptions) error {
	if r.keep == nil || r.group.has(r.keep.snapshot.volume) {
		return nil
	}
	need := storeBytes(changed.missingFrom(exceptions{chunk: cowChunk}), cowChunk)
	if need < r.Keep.Reserve {
		return nil
	}
	return &methods.Blocked{
		What: fmt.Sprintf("the snapshot of the present has %d bytes and would need %d to keep what the revert overwrites",
			r.Keep.Reserve, need),
		Hint: "revert without a safety snapshot (--no-safety)",
	}
}

// copyBack takes the snapshot of the present, if it is to be kept and is not there yet, and writes what the
// snapshot keeps over the origin. Chunks that are equal already are not written, so doing it again is cheap.
func (m *Method) copyBack(ctx context.Context, r revert) (methods.Reverted, error) {
	changed, err := m.planCopy(ctx, r)
	if err != nil {
		return methods.Reverted{}, err
	}
	if err := m.keepPresent(ctx, r); err != nil {
		return methods.Reverted{}, err
	}
	from, err := openDevice(m.path(r.to.snapshot), os.O_RDONLY)
	if err != nil {
		return methods.Reverted{}, fmt.Errorf("open snapshot: %w", err)
	}
	defer from.Close()
	to, err := openDevice(m.path(r.to.origin), os.O_RDWR|os.O_EXCL)
	if err != nil {
		return methods.Reverted{}, fmt.Errorf("open origin: %w", err)
	}
	c := copier{from: from, to: to, size: r.To.Size, chunk: changed.chunk, progress: r.Progress}
	written, err := c.run(ctx, changed.old)
	if err = errors.Join(err, to.Sync(), to.Close()); err != nil {
		return methods.Reverted{}, fmt.Errorf("copy %s back: %w", r.to.snapshot, err)
	}
	return methods.Reverted{How: methods.HowChangedExtents, BytesWritten: written}, nil
}

// keepPresent leaves a kept snapshot of a first attempt alone: it holds what was there before any attempt.
// One that never became a snapshot is removed and made again.
func (m *Method) keepPresent(ctx context.Context, r revert) error {
	if r.keep == nil {
		return nil
	}
	if r.group.has(r.keep.snapshot.volume) {
		_, err := r.keep.sound(r.group)
		if err == nil {
			return nil
		}
		if v, _ := r.group.find(r.keep.snapshot.volume); v.thickSnapshot() {
			return err
		}
		if err := m.Drop(ctx, methods.DropRequest{Ref: *r.Keep}); err != nil {
			return err
		}
	}
	return m.Take(ctx, *r.Keep)
}
