package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/shield"
	"github.com/domsnap/domsnap/xmlspec"
)

// Way is how the disks are kept still.
type Way string

// The ways. The zero value lets the plan decide.
const (
	// Hold: the guest is held until every disk is taken.
	Hold Way = "hold"
	// Shield: it is held for one transaction, which puts the disks onto overlays until they are taken.
	Shield Way = "shield"
)

// planShield plans overlays for the disks whose takes would hold the guest. Where the plan decides, what stands in the
// way is said in it; where the shield was asked for, that is an error.
func (op *operation) planShield(ctx context.Context, p *Plan, way Way) error {
	if way == Hold || op.desc.State != Running {
		return refuseShield(way, "the domain does not run")
	}
	var targets []string
	for _, d := range p.Disks {
		if t := d.method.Traits(); t.BelowQEMU || t.ReadsDisk {
			targets = append(targets, d.Target)
		}
	}
	if len(targets) == 0 {
		return refuseShield(way, "no disk has a method that takes time while the guest is held")
	}
	overlays, err := op.overlays(ctx, p, targets)
	var stands *methods.Blocked
	var never *methods.Unsupported
	if way != Shield && (errors.As(err, &stands) || errors.As(err, &never)) {
		p.Hold.Why += "; no shield: " + err.Error()
		return nil
	}
	if err != nil {
		return fmt.Errorf("shield the disks: %w", err)
	}
	by := string(Shield)
	p.Hold.HeldBy, p.overlays = &by, overlays
	p.Hold.Why += "; overlays shield " + strings.Join(targets, ", ")
	return nil
}

func refuseShield(way Way, why string) error {
	if way != Shield {
		return nil
	}
	return refuse("leave --shield out", "there is nothing to shield: %s", why)
}

// overlays plans an overlay for each disk.
func (op *operation) overlays(ctx context.Context, p *Plan, targets []string) ([]shield.Overlay, error) {
	switch {
	case op.Run == nil:
		return nil, methods.Unsupportedf("overlays cannot be made here")
	case !op.desc.Persistent:
		return nil, methods.Unsupportedf("the domain has no definition that a start could find overlays in")
	}
	nodes, err := op.domain.Shielded().Survey(ctx, targets)
	if err != nil {
		return nil, err
	}
	defined, err := op.domain.Definition(ctx)
	if err != nil {
		return nil, err
	}
	overlays := make([]shield.Overlay, len(targets))
	for i, node := range nodes {
		if overlays[i], err = op.overlay(p, node, defined); err != nil {
			return nil, err
		}
	}
	return overlays, op.shieldFiles().CheckRoom(needed(overlays))
}

func (op *operation) overlay(p *Plan, node shield.Node, defined *xmlspec.Domain) (shield.Overlay, error) {
	disk, _ := op.desc.Disk(node.Target)
	next, ok := defined.Disk(node.Target)
	switch {
	case !ok || next.Format != disk.Format:
		return shield.Overlay{}, methods.Blockedf("the definition has another disk %s", node.Target)
	case disk.Encrypted || disk.CopyOnRead:
		return shield.Overlay{}, methods.Unsupportedf("disk %s is encrypted by QEMU, or copies on reading", node.Target)
	}
	object, err := methods.ObjectName(p.ID, node.Target)
	if err != nil {
		return shield.Overlay{}, err
	}
	o := shield.Overlay{
		File: filepath.Join(op.shieldFiles().Dir, object+".qcow2"), Size: node.Size, Node: object, Base: node.Name,
		Options: node.Options, Defined: next.XML,
	}
	for _, ref := range p.refs() {
		if ref.Disk.Target == node.Target {
			o.Disk = ref.Disk
		}
	}
	o.Raised, err = next.OnOverlay(o.File)
	return o, err
}

func needed(overlays []shield.Overlay) int64 {
	sizes := make([]int64, len(overlays))
	for i, o := range overlays {
		sizes[i] = o.Size
	}
	return shield.Needed(sizes)
}

// shieldFiles are the overlays of the domain.
func (op *operation) shieldFiles() shield.Files {
	return shield.Files{
		Dir: filepath.Join(op.StateDir, "shield", filepath.Base(op.desc.UUID)), Run: op.Run, Labels: op.desc.Labels,
	}
}
