package wire

import (
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// kinds are the errors that the other side decides on.
func kinds() map[string]error {
	return map[string]error{
		"not-found": methods.ErrNotFound, "exists": methods.ErrExists, "broken": methods.ErrBroken,
		"unsupported": methods.ErrUnsupported, "blocked": methods.ErrBlocked, "differ": methods.ErrDiffers,
	}
}

func failure(err error) message {
	m := message{Error: err.Error()}
	for name, kind := range kinds() {
		if errors.Is(err, kind) {
			m.Kind = name
		}
	}
	return m
}

// remoteError is what went wrong over there.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }

func (e *remoteError) Unwrap() error { return e.kind }

func (m *message) failed() error {
	if m.Error == "" {
		return nil
	}
	return fmt.Errorf("over there: %w", &remoteError{m.Error, kinds()[m.Kind]})
}
