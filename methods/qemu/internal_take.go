package qemu

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// Prepare implements methods.Preparer: of a running domain QEMU's block nodes are found.
func (m *Internal) Prepare(ctx context.Context, refs []methods.Ref) (methods.Prepared, error) {
	var snapshots []InternalSnapshot
	for _, ref := range refs {
		if err := recordedInside(ref); err != nil {
			return nil, err
		}
		now, err := m.images.infoOf(ctx, Image{ref.Origin, qcow2})
		if err == nil {
			err = now.takes(ref.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("prepare disk %s: %w", ref.Disk.Target, err)
		}
		snapshots = append(snapshots, InternalSnapshot{Target: ref.Disk.Target, File: ref.Origin, Name: ref.Name})
	}
	domain := refs[0].Disk.Domain
	if !domain.Active {
		return &closedImages{m.images, snapshots}, nil
	}
	ready, err := m.hypervisor.ReadyInternal(ctx, domain.UUID, snapshots)
	if err != nil {
		return nil, fmt.Errorf("make ready to snapshot inside images: %w", err)
	}
	return openImages{ready}, nil
}

// Take implements methods.Method.
func (m *Internal) Take(ctx context.Context, ref methods.Ref) error {
	return methods.TakeNow(ctx, m, ref)
}

// openImages are those that QEMU writes to. It makes durable what it does to them.
type openImages struct {
	ready Switch
}

// Take implements methods.Prepared.
func (p openImages) Take(ctx context.Context) error {
	if err := p.ready.Do(ctx); err != nil {
		return fmt.Errorf("snapshot inside images: %w", err)
	}
	return nil
}

// Close implements methods.Prepared.
func (p openImages) Close(context.Context) error { return p.ready.Close() }

// closedImages are those of a domain that is off.
type closedImages struct {
	images    images
	snapshots []InternalSnapshot
}

// Take implements methods.Prepared: one after the other, since nobody writes to any of them.
func (p *closedImages) Take(ctx context.Context) error {
	for _, s := range p.snapshots {
		if err := p.images.createInside(ctx, s.File, s.Name); err != nil {
			return err
		}
	}
	return nil
}

// Close implements methods.Prepared.
func (*closedImages) Close(context.Context) error { return nil }
