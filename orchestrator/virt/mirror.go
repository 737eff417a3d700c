package virt

import (
	"context"
	"fmt"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/xmlspec"
)

// Shown implements orchestrator.Mirror.
func (d *Domain) Shown(ctx context.Context) ([]string, error) {
	names, err := ask(ctx, d, func(d *Domain) ([]string, error) { return d.dom.SnapshotListNames(0) })
	if err != nil {
		return nil, fmt.Errorf("list libvirt's snapshots: %w", err)
	}
	return names, nil
}

// Show implements orchestrator.Mirror. libvirt believes that it has made the snapshot before.
func (d *Domain) Show(ctx context.Context, r xmlspec.Reflection) error {
	text, err := r.Marshal()
	if err != nil {
		return err
	}
	return d.act(ctx, "show the snapshot", func(d *Domain) error {
		s, err := d.dom.CreateSnapshotXML(text, libvirt.DOMAIN_SNAPSHOT_CREATE_REDEFINE)
		if err != nil {
			return fmt.Errorf("define libvirt's snapshot %s: %w", r.Name, err)
		}
		return s.Free()
	})
}

// Hide implements orchestrator.Mirror.
func (d *Domain) Hide(ctx context.Context, name string) error {
	return d.act(ctx, "hide the snapshot", func(d *Domain) error {
		s, err := d.dom.SnapshotLookupByName(name, 0)
		if isCode(err, libvirt.ERR_NO_DOMAIN_SNAPSHOT) {
			return nil
		}
		if err == nil {
			defer func() { _ = s.Free() }()
			err = hide(s)
		}
		if err != nil {
			return fmt.Errorf("forget libvirt's snapshot %s: %w", name, err)
		}
		return nil
	})
}

func hide(s *libvirt.DomainSnapshot) error {
	text, err := s.GetXMLDesc(0)
	if err != nil {
		return err
	}
	ours, err := xmlspec.IsReflection(text)
	if err != nil || !ours {
		return err
	}
	return s.Delete(libvirt.DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
}
