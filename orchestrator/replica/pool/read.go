package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// complete finds a replica that can be used.
func (p Place) complete(ctx context.Context, k replica.Key) (*replica.Manifest, error) {
	m, err := p.find(ctx, k)
	if err == nil && m.State != replica.Complete {
		err = methods.Blockedf("the replica of snapshot %s is %s: it is not whole yet", k.Snapshot, m.State)
	}
	return m, err
}

// Open implements replica.Place.
func (p Place) Open(ctx context.Context, k replica.Key, disk string) (methods.Content, error) {
	m, err := p.complete(ctx, k)
	if err != nil {
		return nil, err
	}
	d, ok := m.Disk(disk)
	if !ok {
		return nil, fmt.Errorf("disk %.64q of the replica: %w", disk, methods.ErrNotFound)
	}
	data, err := p.at(ctx, imageOf(k.Domain, d.Target), k)
	if err != nil {
		return nil, err
	}
	return methods.Bounded(data, d.Size), nil
}

// at opens an image as it is in a replica.
func (p Place) at(ctx context.Context, name string, k replica.Key) (Reader, error) {
	image, err := p.Images.Look(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := image.At(ctx, snapOf(k.Snapshot)); err != nil {
		return nil, errors.Join(err, image.Close())
	}
	return image, nil
}

// Verify implements replica.Place.
func (p Place) Verify(ctx context.Context, k replica.Key, progress methods.Progress) error {
	m, err := p.complete(ctx, k)
	if err != nil {
		return err
	}
	return m.VerifyDisks(progress, func(d *replica.Disk, progress methods.Progress) error {
		s, end, err := p.stored(ctx, k, d)
		if err == nil {
			err = errors.Join(d.Verify(ctx, s, progress), end())
		}
		if errors.Is(err, methods.ErrNotFound) {
			err = fmt.Errorf("%w: %w", methods.ErrBroken, err)
		}
		return err
	})
}

// stored opens a disk of a replica, until end is called.
func (p Place) stored(ctx context.Context, k replica.Key, d *replica.Disk) (s replica.Stored, end func() error, err error) {
	name := imageOf(k.Domain, d.Target)
	data, err := p.at(ctx, name, k)
	if err != nil {
		return s, nil, err
	}
	sums, err := p.at(ctx, name+sumsSuffix, k)
	if err != nil {
		return s, nil, errors.Join(err, data.Close())
	}
	end = func() error { return errors.Join(sums.Close(), data.Close()) }
	return replica.Stored{Data: methods.Bounded(data, d.Size), Sums: sums}, end, nil
}
