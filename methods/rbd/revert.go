package rbd

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
)

// CheckRevert implements methods.Reverter. It waits a while for a client that died. That the image is still
// the one that was recorded needs no check of its own: an image made anew under the name has no snapshot.
func (m *Method) CheckRevert(ctx context.Context, req methods.RevertRequest) (err error) {
	p, err := m.target(req)
	if err != nil {
		return err
	}
	s, err := open(ctx, m, p, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(m.limits.answer)) }()
	if err := m.awaitDead(ctx, s); err != nil {
		return err
	}
	return s.do(ctx, func() error { return revertible(s.reader, p) })
}

// Revert implements methods.Reverter. Where little has changed it writes that back, extent by extent; otherwise
// librbd's rollback has the storage clone back each object. The snapshot stays, and so do the younger ones.
//
// It looks for other clients once more with the image open, just before it starts: a revert under a running
// guest can look done and do nothing. When the context ends, writing stops and a rollback goes on until it ends or
// the process does, and others see the image open for so long; doing it again completes either.
func (m *Method) Revert(ctx context.Context, req methods.RevertRequest) (done methods.Reverted, err error) {
	p, err := m.target(req)
	if err != nil {
		return done, err
	}
	if req.Again {
		// Who tried before may have died just now, with the image open.
		if err := m.CheckRevert(ctx, req); err != nil {
			return done, err
		}
	}
	s, err := open(ctx, m, p, true)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, s.close(m.limits.answer)) }()
	req.Progress.Report(0, req.To.Size)
	if done, err = await(ctx, s, func() (methods.Reverted, error) { return s.revert(ctx, req.Progress) }); err != nil {
		return done, fmt.Errorf("revert to %s: %w", p, err)
	}
	req.Progress.Report(req.To.Size, req.To.Size)
	return done, nil
}

func (s *session) revert(ctx context.Context, progress methods.Progress) (methods.Reverted, error) {
	if err := revertible(s.reader, s.place); err != nil {
		return methods.Reverted{}, err
	}
	plan, err := planRewrite(ctx, s.reader, s.place)
	if err != nil && !errors.Is(err, methods.ErrUnsupported) {
		return methods.Reverted{}, fmt.Errorf("find what changed: %w", err)
	}
	if ctx.Err() != nil {
		return methods.Reverted{}, ctx.Err()
	}
	if err != nil || !plan.quicker() {
		return methods.Reverted{How: methods.HowNative}, trace.Do(ctx, "rbd: roll back", func() error { return s.writer.rollBack(s.place.snap) })
	}
	content, err := s.reader.stay(s.place.snap)
	if err == nil {
		err = plan.do(ctx, content, s.writer, progress)
	}
	return methods.Reverted{How: methods.HowChangedExtents, BytesWritten: total(plan.changed, 0)}, err
}

// target is the recorded place, if the disk is still there.
func (m *Method) target(req methods.RevertRequest) (place, error) {
	p, err := recorded(req.To)
	if err != nil {
		return p, err
	}
	now, err := m.image(req.Disk.Source)
	if err != nil {
		return p, err
	}
	if now.String() != p.RBDImage.String() {
		return p, methods.Blockedf("disk %s is now image %s; the snapshot is of %s", req.Disk.Target, now, p.RBDImage)
	}
	return p, nil
}

// revertible finds what would make a revert fail, or change more than the content.
func revertible(image reader, p place) error {
	found, at, err := present(image, p)
	if err != nil {
		return err
	}
	if size := found.snaps[at].size; size != found.size {
		return &methods.Blocked{
			What: fmt.Sprintf("image %s has %d bytes, its snapshot %s has %d", p.RBDImage, found.size, p.snap, size),
			Hint: "give the image back the size of the snapshot with rbd resize",
		}
	}
	by, err := image.users()
	if err != nil {
		return fmt.Errorf("list users of image %s: %w", p.RBDImage, err)
	}
	return errors.Join(unused(p, by), unlocked(p, by))
}
