package rbd

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
)

// vacant describes the image if a snapshot can be made of it.
func vacant(image reader, p place) (description, error) {
	found, err := image.describe()
	if err != nil {
		return found, fmt.Errorf("look at image %s: %w", p.RBDImage, err)
	}
	if found.find(p.snap) >= 0 {
		return found, fmt.Errorf("plan snapshot %s: %w", p, methods.ErrExists)
	}
	by, err := image.users()
	if err != nil {
		return found, fmt.Errorf("list users of image %s: %w", p.RBDImage, err)
	}
	return found, unlocked(p, by)
}

// Take implements methods.Method.
func (m *Method) Take(ctx context.Context, ref methods.Ref) error {
	return methods.TakeNow(ctx, m, ref)
}

// Prepare implements methods.Preparer for one ref. It opens the image, and waits until every client that has
// the image open answers: a snapshot waits for all of them, a dead one too, and would do so with the guest
// held. It fails with ErrExists when the snapshot is there, and with ErrBlocked when a dead client does not go.
//
// It does not take the image's exclusive lock. That is the hypervisor's, and librbd has the owner make the
// snapshot.
func (m *Method) Prepare(ctx context.Context, refs []methods.Ref) (methods.Prepared, error) {
	if len(refs) != 1 {
		return nil, fmt.Errorf("prepare %d snapshots: want one", len(refs))
	}
	p, err := recorded(refs[0])
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, m, p, true)
	if err != nil {
		return nil, err
	}
	before, err := m.settle(ctx, s)
	if err != nil {
		return nil, errors.Join(err, s.close(m.limits.answer))
	}
	return &ready{session: s, limits: m.limits, before: before}, nil
}

// settle makes sure that a snapshot would be made, and at once.
func (m *Method) settle(ctx context.Context, s *session) (description, error) {
	found, err := await(ctx, s, func() (description, error) { return vacant(s.reader, s.place) })
	if err != nil {
		return found, err
	}
	return found, m.awaitDead(ctx, s)
}

// ready is an image that is open and whose clients all answer.
type ready struct {
	session *session
	limits  limits
	// before is the image as it was found, taken that the snapshot is there.
	before description
	taken  bool
}

// Take implements methods.Prepared. The monitors number the snapshot, and they decide about once in a second
// (paxos_propose_interval): it takes 50 to 500 ms when they have been idle, else up to 1 s, whoever has
// the image open. Snapshots taken side by side share one decision.
//
// When the context ends first, the snapshot may still be made, here or by the client that has the lock. It is
// then removed again by the same call, before the session can be closed. Only a process that dies in between
// leaves it to Drop.
func (r *ready) Take(ctx context.Context) error {
	s := r.session
	err := s.do(ctx, func() error {
		err := trace.Do(ctx, "rbd: create the snapshot", func() error { return s.writer.createSnap(s.place.snap) })
		if err == nil && ctx.Err() != nil {
			err = errors.Join(ctx.Err(), s.writer.removeSnap(s.place.snap))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("take snapshot %s: %w", s.place, err)
	}
	r.taken = true
	return nil
}

// Close implements methods.Prepared. It waits for a Take that was given up, and puts down which snapshots are older
// than one that was not.
func (r *ready) Close(ctx context.Context) error {
	var err error
	if r.taken {
		err = r.session.do(ctx, func() error {
			return trace.Do(ctx, "rbd: note the elders", func() error { return r.session.noteElders(r.before) })
		})
	}
	return errors.Join(err, r.session.close(r.limits.finish))
}
