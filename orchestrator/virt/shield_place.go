package virt

import (
	"context"

	"github.com/domsnap/domsnap/orchestrator/shield"
)

// Places implements shield.Nodes.
func (s shielded) Places(ctx context.Context, all []shield.Overlay) ([]shield.Place, error) {
	return settled(ctx, s.domain, func(d *Domain) ([]shield.Place, error) {
		nodes, err := d.namedNodes()
		if err != nil {
			return nil, err
		}
		parsed, err := d.parsed(0)
		if err != nil {
			return nil, err
		}
		devices, err := blockDevices(monitor{d.dom})
		if err != nil {
			return nil, err
		}
		places := make([]shield.Place, len(all))
		for i, o := range all {
			if _, ok := parsed.Disk(o.Disk.Target); !ok {
				places[i] = shield.Detached
				continue
			}
			at, err := devices.of(parsed, o.Disk.Target)
			if err != nil {
				return nil, err
			}
			places[i] = at.place(o, nodes)
		}
		return places, nil
	})
}

// place: where the disk is on the overlay by another node's name, libvirt has started it so.
func (d device) place(o shield.Overlay, nodes []namedNode) shield.Place {
	switch {
	case d.Inserted.Node == o.Node || d.Inserted.Node == filterOf(o):
		return shield.OnOverlay
	case d.source == o.File:
		return shield.OnKnown
	case !has(nodes, o.Node):
		return shield.Anew
	default:
		return shield.OnBase
	}
}
