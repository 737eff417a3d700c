package qemu

import (
	"context"

	"github.com/domsnap/domsnap/methods"
)

// Open implements methods.Method.
func (m *Method) Open(_ context.Context, ref methods.Ref) (methods.Content, error) {
	return nil, methods.Unsupportedf("reading snapshot %s is not there yet", ref.Name)
}
