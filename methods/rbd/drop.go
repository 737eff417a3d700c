package rbd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// Drop implements methods.Method. A snapshot that is protected, or that clones were made of, is somebody
// else's too: that is ErrBlocked, and it stays as it is.
func (m *Method) Drop(ctx context.Context, req methods.DropRequest) error {
	p, err := recorded(req.Ref)
	if err != nil {
		return err
	}
	droppable, err := inspect(ctx, m, p, func(image reader) (bool, error) { return droppable(image, p) })
	if errors.Is(err, methods.ErrNotFound) || err == nil && !droppable {
		return nil
	}
	if err != nil {
		return err
	}
	err = m.change(ctx, p, func(s *session) error { return s.writer.removeSnap(p.snap) })
	if err != nil && !errors.Is(err, methods.ErrNotFound) {
		return fmt.Errorf("remove snapshot %s: %w", p, err)
	}
	return nil
}

// droppable says whether the snapshot is there, and fails if something stands in the way of its removal.
func droppable(image reader, p place) (bool, error) {
	found, err := image.describe()
	if err != nil {
		return false, fmt.Errorf("look at image %s: %w", p.RBDImage, err)
	}
	if found.find(p.snap) < 0 {
		return false, nil
	}
	by, err := image.dependents(p.snap)
	if err != nil {
		return false, fmt.Errorf("look for clones of %s: %w", p, err)
	}
	if len(by) > 0 {
		return false, &methods.Blocked{
			What: fmt.Sprintf("snapshot %s is needed: %s", p, strings.Join(by, ", ")),
			Hint: "flatten or remove the clones, then: rbd snap unprotect " + p.String(),
		}
	}
	return true, nil
}

// change opens an image for changes and makes them.
func (m *Method) change(ctx context.Context, p place, act func(*session) error) (err error) {
	s, err := open(ctx, m, p, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(m.limits.answer)) }()
	_, err = await(ctx, s, func() (struct{}, error) { return struct{}{}, act(s) })
	return err
}
