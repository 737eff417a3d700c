package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/domsnap/domsnap/methods"
)

// Prepare implements methods.Preparer: it makes the overlays, and the switch to them ready.
func (m *Method) Prepare(ctx context.Context, refs []methods.Ref) (methods.Prepared, error) {
	p := &prepared{hypervisor: m.hypervisor, uuid: refs[0].Disk.Domain.UUID}
	for _, ref := range refs {
		err := recorded(ref)
		if err == nil {
			err = m.images.create(ctx, ref.Active, Image{ref.Name, ref.Disk.Format}, ref.Name)
		}
		if errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("prepare disk %s: %w: %w", ref.Disk.Target, methods.ErrExists, err)
		}
		if err != nil {
			return nil, fmt.Errorf("prepare disk %s: %w", ref.Disk.Target, err)
		}
		p.overlays = append(p.overlays, Overlay{Target: ref.Disk.Target, File: ref.Active})
	}
	ready, err := m.hypervisor.ReadySwitch(ctx, p.uuid, p.overlays)
	if err != nil {
		return nil, fmt.Errorf("make ready to switch disks: %w", err)
	}
	p.ready = ready
	return p, nil
}

// Take implements methods.Method.
func (m *Method) Take(ctx context.Context, ref methods.Ref) error {
	return methods.TakeNow(ctx, m, ref)
}

type prepared struct {
	hypervisor Hypervisor
	uuid       string
	overlays   []Overlay
	ready      Switch
}

// Take puts all disks onto their overlays. libvirt can fail after the disks have moved, so an error counts only
// where they have not.
func (p *prepared) Take(ctx context.Context) error {
	err := p.ready.Do(ctx)
	if err == nil {
		return nil
	}
	for _, o := range p.overlays {
		active, askErr := p.hypervisor.ActiveSource(context.WithoutCancel(ctx), p.uuid, o.Target)
		if askErr != nil || active != o.File {
			return errors.Join(fmt.Errorf("put disks onto overlays: %w", err), askErr)
		}
	}
	return nil
}

func (p *prepared) Close(context.Context) error { return p.ready.Close() }
