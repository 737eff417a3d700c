package image

import (
	"context"

	"github.com/domsnap/domsnap/methods"
)

// serve opens an image through QEMU's driver for it.
func serve(_ context.Context, i Image, _ int) (methods.Writable, error) {
	return nil, methods.Unsupportedf("opening %s (%s) is not there yet", i.Source, i.Format)
}
