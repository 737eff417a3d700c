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
// else's too: that is ErrBlocked, and it stays as it is.
func (m *Method) Drop(ctx context.Context, req methods.DropRequest) error {
	p, err := recorded(req.Ref)
	if err != nil {
		return err
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
