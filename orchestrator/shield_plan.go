package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

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

// DefaultShieldTimeout is how long the takes behind a shield may last. The guest goes on meanwhile, and what it writes
// needs room, and is written twice.
const DefaultShieldTimeout = time.Hour

// planShield plans overlays for the disks whose takes would hold the guest, and for those that the takes put onto overlays
// anyway. Where the plan decides, what stands in the way is said in it; where the shield was asked for, that is an error.
func (op *operation) planShield(ctx context.Context, p *Plan, way Way) error {
	if way == Hold || op.desc.State != Running {
		return refuseShield(way, "the domain does not run")
	}
	if !slices.ContainsFunc(p.acts(), (*act).takesTime) {
		return refuseShield(way, "no disk has a method that takes time while the guest is held")
	}
	overlays, err := op.overlays(ctx, p)
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
	p.Hold.Why += "; for one transaction, which puts " + strings.Join(overlaid(overlays), ", ") + " onto overlays"
	return nil
}

// takesTime says that the act does, and that all it needs is a disk that is still.
func (a *act) takesTime() bool {
	t := a.method.Traits()
	return t.BelowQEMU || t.ReadsDisk || t.HoldsJob
}

// movesOver says that the act puts its disks onto overlays of a known place.
func (a *act) movesOver() bool {
	return a.method.Traits().MovesSource && !slices.ContainsFunc(a.refs, func(r methods.Ref) bool { return r.Active == "" })
}

func overlaid(overlays []shield.Overlay) []string {
	targets := make([]string, len(overlays))
	for i, o := range overlays {
		targets[i] = o.Disk.Target
	}
	return targets
}

// turn is when an act has its turn.
type turn int

// The turns. Without a shield all acts are inside.
const (
	inside turn = iota
	behind
	atTheEnd
)

// turnOf says when the act is done: while the guest is held, behind the shield, or when that is taken away.
func (p *Plan) turnOf(a *act) turn {
	at := slices.IndexFunc(p.overlays, func(o shield.Overlay) bool { return o.Disk.Target == a.refs[0].Disk.Target })
	switch {
	case at < 0:
		return inside
	case p.overlays[at].Stays:
		return atTheEnd
	default:
		return behind
	}
}

func refuseShield(way Way, why string) error {
	if way != Shield {
		return nil
	}
	return refuse("leave --shield out", "there is nothing to shield: %s", why)
}

// overlays plans an overlay for each disk that gains by one.
func (op *operation) overlays(ctx context.Context, p *Plan) ([]shield.Overlay, error) {
	switch {
	case op.Run == nil:
		return nil, methods.Unsupportedf("overlays cannot be made here")
	case p.noPause:
		return nil, methods.Unsupportedf("the guest must not be paused (--no-pause), and it is when overlays are taken away")
	case !op.desc.Persistent:
		return nil, methods.Unsupportedf("the domain has no definition that a start could find overlays in")
	}
	defined, err := op.domain.Definition(ctx)
	if err != nil {
		return nil, err
	}
	var refs []methods.Ref
	for _, a := range p.acts() {
		if a.takesTime() || a.movesOver() {
			refs = append(refs, a.refs...)
		}
	}
	nodes, err := op.domain.Shielded().Survey(ctx, targetsOf(refs))
	if err != nil {
		return nil, err
	}
	if !op.mayStay(refs, nodes) {
		// They have their own transaction while the guest is held.
		refs, nodes = withoutStaying(refs, nodes)
	}
	overlays := make([]shield.Overlay, len(refs))
	for i, ref := range refs {
		if overlays[i], err = op.overlay(ctx, ref, plannedOn{nodes[i], defined}); err != nil {
			return nil, err
		}
	}
	return overlays, op.shieldFolder().CheckRoom(needed(overlays))
}

// mayStay says that libvirt can be told afterwards of the overlays that disks stay on. AppArmor lets QEMU open them, which are
// beside their disks, only when libvirt has been told.
func (op *operation) mayStay(refs []methods.Ref, nodes []shield.Node) bool {
	if slices.ContainsFunc(op.desc.Labels, func(l xmlspec.Label) bool { return l.Model == "apparmor" }) {
		return false
	}
	for i, n := range nodes {
		disk, _ := op.desc.Disk(n.Target)
		if refs[i].Active != "" && (n.Driver != "qcow2" || disk.Tuned) {
			return false
		}
	}
	return true
}

func withoutStaying(refs []methods.Ref, nodes []shield.Node) (others []methods.Ref, on []shield.Node) {
	for i, ref := range refs {
		if ref.Active == "" {
			others, on = append(others, ref), append(on, nodes[i])
		}
	}
	return others, on
}

// plannedOn is what an overlay is planned on: the disk's block node, and what the next start begins with.
type plannedOn struct {
	node    shield.Node
	defined *xmlspec.Domain
}

func (op *operation) overlay(ctx context.Context, ref methods.Ref, on plannedOn) (shield.Overlay, error) {
	node, defined := on.node, on.defined
	disk, _ := op.desc.Disk(node.Target)
	next, ok := defined.Disk(node.Target)
	var starts methods.Disk
	var err error
	if ok {
		if starts, err = op.disk(ctx, next); err != nil {
			return shield.Overlay{}, err
		}
	}
	switch {
	case !ok || starts.Format != ref.Disk.Format || starts.Source.String() != ref.Disk.Source.String():
		return shield.Overlay{}, methods.Blockedf("the definition has another disk %s", node.Target)
	case disk.Encrypted || disk.CopyOnRead || disk.Partial:
		return shield.Overlay{}, methods.Unsupportedf("disk %s is encrypted by QEMU, copies on reading, or is a part of its source", node.Target)
	}
	object, err := methods.ObjectName(ref.Snapshot, node.Target)
	if err != nil {
		return shield.Overlay{}, err
	}
	o := shield.Overlay{
		Disk: ref.Disk, File: filepath.Join(op.shieldFolder().Dir, object+".qcow2"), Size: node.Size,
		Node: object, Base: node.Name, Options: node.Options, Defined: next.XML,
	}
	o.Options.Discard, o.Options.AIO = disk.Discard, disk.IO
	if ref.Active != "" {
		o.Stays, o.File = true, ref.Active
	}
	if o.Stays {
		if o.Settled, err = next.On(o.File); err != nil {
			return o, err
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

// shieldFolder has the overlays of the domain.
func (op *operation) shieldFolder() shield.Folder {
	f := shieldFolder(op.StateDir, op.desc.UUID)
	f.Run, f.Labels = op.Run, op.desc.Labels
	return f
}

func shieldFolder(stateDir, uuid string) shield.Folder {
	return shield.Folder{Dir: filepath.Join(stateDir, "shield", profilePrefix+filepath.Base(uuid))}
}

// profilePrefix is what libvirt's names of AppArmor profiles begin with: the rule for overlays lets a guest have its own.
const profilePrefix = "libvirt-"
