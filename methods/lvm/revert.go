package lvm

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// revert is a request that was checked, with the group as it is now.
type revert struct {
	methods.RevertRequest
	to target
	// keep is where the present goes; nil when it may go.
	keep  *target
	group group
}

// CheckRevert implements methods.Reverter.
func (m *Method) CheckRevert(ctx context.Context, req methods.RevertRequest) error {
	r, err := m.readRevert(ctx, req)
	if err != nil {
		return err
	}
	if r.to.thin {
		return r.checkSwap()
	}
	_, err = m.planCopy(ctx, r)
	return err
}

// Revert implements methods.Reverter: a thin volume is swapped for a snapshot of the snapshot, and into a thick
// one the kept chunks are copied back.
func (m *Method) Revert(ctx context.Context, req methods.RevertRequest) (methods.Reverted, error) {
	r, err := m.readRevert(ctx, req)
	if err != nil {
		return methods.Reverted{}, err
	}
	if r.to.thin {
		return methods.Reverted{How: methods.HowNative}, m.swap(ctx, r)
	}
	return m.copyBack(ctx, r)
}

// readRevert does the checks that both modes share.
func (m *Method) readRevert(ctx context.Context, req methods.RevertRequest) (revert, error) {
	to, err := parseRef(req.To)
	if err != nil {
		return revert{}, err
	}
	keep, err := parseKeep(req.Keep, to)
	if err != nil {
		return revert{}, err
	}
	if err := m.sameDisk(req, to); err != nil {
		return revert{}, err
	}
	g, err := m.groupWhenClosed(ctx, to.origin)
	if err != nil {
		return revert{}, err
	}
	r := revert{req, to, keep, g}
	v, err := to.sound(g)
	if err == nil {
		err = to.checkTags(v)
	}
	if err != nil {
		return revert{}, err
	}
	return r, r.checkPresent()
}

func parseKeep(keep *methods.Ref, to target) (*target, error) {
	if keep == nil {
		return nil, nil
	}
	t, err := parseRef(*keep)
	if err != nil {
		return nil, err
	}
	if t.origin != to.origin || t.thin != to.thin || t.snapshot == to.snapshot {
		return nil, methods.Blockedf("the present of %s cannot be kept as %s", to.origin, t.snapshot)
	}
	return &t, nil
}

// sameDisk checks that the disk is still the one that was snapshotted. A disk that is no volume itself was
// planned with <device>; it is the same while its source is.
func (m *Method) sameDisk(req methods.RevertRequest, to target) error {
	path := req.Disk.Source.Path()
	now, err := m.resolve(path)
	switch {
	case errors.Is(err, methods.ErrUnsupported) && path == req.To.Disk.Source.Path():
		return nil
	case err != nil && !errors.Is(err, methods.ErrUnsupported):
		return err
	case now != to.origin:
		return methods.Blockedf("disk %s is now %q, the snapshot is of %s", req.Disk.Target, path, to.origin)
	case to.thin && !m.byName(path, to.origin):
		return &methods.Blocked{
			What: fmt.Sprintf("%q does not name %s: it would go on meaning the old volume after the revert", path, to.origin),
			Hint: "give the disk the source " + m.path(to.origin),
		}
	}
	return nil
}

func (r revert) checkPresent() error {
	v, ok := r.present()
	switch {
	case !ok:
		return fmt.Errorf("find origin %s: %w", r.to.origin, methods.ErrNotFound)
	case v.thin() != r.to.thin:
		return methods.Blockedf("%s is now a %s volume", r.to.origin, modeOf(v))
	case int64(v.Size) != r.To.Size:
		return &methods.Blocked{
			What: fmt.Sprintf("%s has %d bytes, the snapshot is of %d", r.to.origin, v.Size, r.To.Size),
			Hint: "give the volume its old size again with lvresize",
		}
	case bool(v.Open):
		return &methods.Blocked{
			What: fmt.Sprintf("somebody has %s open", r.to.origin),
			Hint: "shut the domain off, and see who: dmsetup ls --tree; fuser -v /dev/" + r.to.origin.String(),
		}
	}
	return checkOrigin(r.group, v)
}

// present is the volume with the disk's content: the origin, or what it was last called where a swap was
// interrupted.
func (r revert) present() (volume, bool) {
	if v, ok := r.group.find(r.to.origin.volume); ok || !r.to.thin {
		return v, ok
	}
	if v, ok := r.group.find(r.old().volume); ok || r.keep == nil {
		return v, ok
	}
	return r.group.find(r.keep.snapshot.volume)
}
