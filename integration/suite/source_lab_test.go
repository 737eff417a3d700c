//go:build lab

package suite

import (
	"context"
	"errors"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

// activated reads a thin snapshot, which has a device only while it is active.
func activated(ctx context.Context, source methods.BackupSource) (methods.Content, error) {
	if _, err := lab.Command(ctx, "lvchange", "-ay", "-K", source.URI); err != nil {
		return nil, err
	}
	content, err := image.Open(ctx, image.Image{Source: methods.Source{Dev: source.URI}, Format: source.Format})
	if err != nil {
		return nil, err
	}
	return active{content, source.URI}, nil
}

type active struct {
	methods.Content
	device string
}

// Close implements methods.Content.
func (a active) Close() error {
	err := a.Content.Close()
	_, deactivated := lab.Command(context.Background(), "lvchange", "-an", a.device)
	return errors.Join(err, deactivated)
}
