package rbd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
)

// Drop implements methods.Method. A snapshot that is protected, or that clones were made of, is somebody
// else's too: that is ErrBlocked, and it stays as it is. Of one that was abandoned it waits for what may still come.
func (m *Method) Drop(ctx context.Context, req methods.DropRequest) error {
	p, err := recorded(req.Ref)
	if err != nil {
		return err
	}
	if req.Stage == methods.Abandoned {
		if err := m.settleAbandoned(ctx, p); err != nil && !errors.Is(err, methods.ErrNotFound) {
			return fmt.Errorf("wait for what may still become of %s: %w", p, err)
		}
	}
	look := func(image reader) error { return droppable(image, p) }
	err = m.change(ctx, p, look, func(image writer) error {
		// In this order nothing is left behind.
		return trace.Do(ctx, "rbd: remove the snapshot", func() error {
			return errors.Join(image.note(eldersKey(p.snap), ""), image.removeSnap(p.snap))
		})
	})
	if err != nil && !errors.Is(err, methods.ErrNotFound) {
		return fmt.Errorf("drop snapshot %s: %w", p, err)
	}
	return nil
}

// CheckDrop implements methods.DropChecker.
func (m *Method) CheckDrop(ctx context.Context, req methods.DropRequest) error {
	p, err := recorded(req.Ref)
	if err != nil {
		return err
	}
	_, err = inspect(ctx, m, p, func(image reader) (struct{}, error) { return struct{}{}, droppable(image, p) })
	if err != nil && !errors.Is(err, methods.ErrNotFound) {
		return fmt.Errorf("look at snapshot %s: %w", p, err)
	}
	return nil
}

// settleAbandoned returns when the snapshot is there or cannot come any more. Where another client has librbd's lock, that
// client makes the snapshots, also for those who have died since they asked. It makes them in the order in which they were
// asked for, so that by its answer to one more it has answered all before.
func (m *Method) settleAbandoned(ctx context.Context, p place) (err error) {
	s, err := open(ctx, m, p, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(m.limits.finish)) }()
	maker, err := await(ctx, s, func() (bool, error) { return s.madeElsewhere() })
	if err != nil || !maker {
		return err
	}
	// It would wait for them too, and not say for whom.
	if err := m.awaitDead(ctx, s); err != nil {
		return err
	}
	err = s.do(ctx, func() error {
		return trace.Do(ctx, "rbd: create the abandoned snapshot", func() error { return s.writer.createSnap(p.snap) })
	})
	if errors.Is(err, methods.ErrExists) {
		return nil
	}
	return err
}

// madeElsewhere says whether there is another client to make the snapshot, and no snapshot yet.
func (s *session) madeElsewhere() (bool, error) {
	found, err := s.reader.describe()
	if err != nil || found.find(s.place.snap) >= 0 {
		return false, err
	}
	by, err := s.reader.users()
	return by.writing, err
}

// droppable finds what stands in the way of the snapshot's removal.
func droppable(image reader, p place) error {
	if _, _, err := present(image, p); err != nil {
		return err
	}
	by, err := image.dependents(p.snap)
	if err != nil {
		return fmt.Errorf("look for clones of %s: %w", p, err)
	}
	if len(by) > 0 {
		return &methods.Blocked{
			What: fmt.Sprintf("it is needed: %s", strings.Join(by, ", ")),
			Hint: "flatten or remove the clones, then: rbd snap unprotect " + p.String(),
		}
	}
	return nil
}
