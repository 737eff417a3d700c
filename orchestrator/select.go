package orchestrator

import (
	"context"
	"fmt"
	"strings"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/xmlspec"
)

// leftOut says why a disk takes no part in snapshots, or nothing.
func leftOut(d xmlspec.Disk) string {
	switch {
	case d.Device == "cdrom" || d.Device == "floppy":
		return "a " + d.Device
	case d.Device == "lun":
		return "a lun, passed through"
	case d.ReadOnly:
		return "read-only"
	case d.Shareable:
		return "shared with other domains"
	case d.Transient:
		return "transient"
	case d.Source == (xmlspec.DiskSource{}):
		return "empty"
	case d.Source.Other == "vhostuser":
		return "vhost-user"
	default:
		return ""
	}
}

// disk is a disk of the domain in the words of methods.
func (op *operation) disk(ctx context.Context, d xmlspec.Disk) (methods.Disk, error) {
	if v := d.Source.Volume; v != nil {
		resolved, err := op.Hypervisor.Volume(ctx, v.Pool, v.Volume)
		if err != nil {
			return methods.Disk{}, fmt.Errorf("resolve disk %s: %w", d.Target, err)
		}
		d.Source = resolved
	}
	return methods.Disk{
		Domain: op.identity(), Target: d.Target, Source: toSource(d.Source),
		Format: d.Format, Serial: d.Serial, Cache: d.Cache,
	}, nil
}

// present is the disk with this target as it is now; the zero Disk when there is none.
func (op *operation) present(ctx context.Context, target string) (methods.Disk, error) {
	d, ok := op.desc.Disk(target)
	if !ok {
		return methods.Disk{}, nil
	}
	return op.disk(ctx, d)
}

func toSource(s xmlspec.DiskSource) methods.Source {
	source := methods.Source{File: s.File, Dev: s.Block, Other: s.Other, RBD: toRBD(s.RBD)}
	if n := s.Network; n != nil {
		source.Network = (*methods.NetworkSource)(n)
	}
	return source
}

func toRBD(s *xmlspec.RBDSource) *methods.RBDImage {
	if s == nil {
		return nil
	}
	img := &methods.RBDImage{User: s.User, Config: s.Config, Monitors: s.Monitors}
	parts := strings.SplitN(s.Name, "/", 3)
	switch len(parts) {
	case 3:
		img.Pool, img.Namespace, img.Image = parts[0], parts[1], parts[2]
	case 2:
		img.Pool, img.Image = parts[0], parts[1]
	default:
		img.Pool, img.Image = "rbd", s.Name
	}
	return img
}
