package orchestrator

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/orchestrator/lease"
	"github.com/domsnap/domsnap/orchestrator/shield"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/xmlspec"
)

// CreateOptions say which snapshot to take and how.
type CreateOptions struct {
	Domain string
	// Descriptor may be nil. Name and Description, when set, go before its own.
	Descriptor        *xmlspec.Descriptor
	Name, Description string
	Quiesce           quiesce.Policy
	NoPause           bool
	FreezeTimeout     time.Duration
	// Way is how the disks are kept still.
	Way Way
	// ShieldTimeout is how long the takes behind a shield may last; 0 for DefaultShieldTimeout.
	ShieldTimeout time.Duration
	// Lease is how long the snapshot stays; the zero value is for ever.
	Lease lease.Lease
}

// Plan is a snapshot before it is taken: everything is decided, nothing is changed.
type Plan struct {
	Domain      string        `json:"domain"`
	Name        string        `json:"name"`
	ID          string        `json:"id"`
	Parent      *string       `json:"parent"`
	Description string        `json:"description"`
	Disks       []PlannedDisk `json:"disks"`
	Skipped     []Skipped     `json:"skipped"`
	Hold        PlannedHold   `json:"hold"`
	Steps       []PlannedStep `json:"steps"`

	overlays []shield.Overlay
	noPause  bool
}

// PlannedDisk is one disk of a plan.
type PlannedDisk struct {
	Target string `json:"target"`
	Method string `json:"method"`
	Mode   string `json:"mode,omitempty"`
	Why    string `json:"why"`
	Ref    string `json:"ref"`
	// Revert is the way back that is expected.
	Revert methods.How `json:"revert"`

	method methods.Method
	ref    methods.Ref
}

// PlannedHold is how the disks are kept still.
type PlannedHold struct {
	// HeldBy is hold or shield, or null for a guest that does not run.
	HeldBy *string `json:"held_by"`
	Why    string  `json:"why"`
}

// PlannedStep is one step of a plan, in order. Window says that the guest is held.
type PlannedStep struct {
	Step   string `json:"step"`
	Window bool   `json:"window"`
}

// PlanCreate is what Create would do.
func (o *Orchestrator) PlanCreate(ctx context.Context, opts CreateOptions) (*Plan, error) {
	op, err := o.look(ctx, opts.Domain)
	if err != nil {
		return nil, err
	}
	return op.planCreate(ctx, opts)
}

func (op *operation) planCreate(ctx context.Context, opts CreateOptions) (*Plan, error) {
	ctx = command.WithMemory(ctx)
	if err := errors.Join(op.checkNotSaved(), op.checkPlaced(ctx)); err != nil {
		return nil, err
	}
	p, err := op.newPlan(opts)
	if err == nil {
		err = op.checkNotShown(ctx, p.Name)
	}
	if err != nil {
		return nil, err
	}
	chosen, skipped, err := op.choose(ctx, opts.Descriptor)
	if err != nil {
		return nil, err
	}
	p.Skipped = skipped
	for _, c := range chosen {
		if err := op.planDisk(ctx, p, c); err != nil {
			return nil, err
		}
	}
	if err := op.checkRoom(p); err != nil {
		return nil, err
	}
	p.Hold = op.planHold(opts)
	if err := op.planShield(ctx, p, opts.Way); err != nil {
		return nil, err
	}
	p.Steps = p.steps()
	return p, nil
}

// checkRoom comes before anything is made: what cannot be recorded is not taken.
func (op *operation) checkRoom(p *Plan) error {
	s := xmlspec.LineageSnapshot{ID: p.ID, Name: p.Name, Description: p.Description, Parent: op.lineage.Current}
	for _, ref := range p.refs() {
		s.Disks = append(s.Disks, toRecord(ref))
	}
	if err := op.lineage.CheckRoom(s, len(op.text)); err != nil {
		return refuse("delete some snapshots, as with: domsnap snapshot-prune "+op.desc.Name, "%w", err)
	}
	return nil
}

func (op *operation) newPlan(opts CreateOptions) (*Plan, error) {
	p := &Plan{
		Domain: op.desc.Name, ID: newID(), Parent: op.nameOf(op.lineage.Current), Skipped: []Skipped{},
		Name: opts.Name, Description: opts.Description, noPause: opts.NoPause,
	}
	if d := opts.Descriptor; d != nil {
		p.Name, p.Description = orElse(p.Name, d.Name), orElse(p.Description, d.Description)
	}
	p.Name = orElse(p.Name, op.Now().UTC().Format("2006-01-02-150405"))
	if err := xmlspec.ValidName(p.Name); err != nil {
		return nil, &Problem{Kind: ErrUsage, Err: err}
	}
	if s, err := op.snapshot(p.Name); err == nil {
		return nil, refuse("choose another name, or delete that one", "domain %s has a snapshot %q already", op.desc.Name, s.Name)
	}
	return p, nil
}

func (op *operation) planDisk(ctx context.Context, p *Plan, c choice) error {
	if err := c.check(); err != nil {
		return err
	}
	ref, err := c.method.Plan(ctx, methods.PlanRequest{Disk: c.disk, ID: p.ID, Spec: c.spec})
	if err != nil {
		return fmt.Errorf("plan disk %s: %w", c.disk.Target, err)
	}
	how, err := methods.ExpectRevert(ctx, c.method, ref)
	if err != nil {
		return fmt.Errorf("plan disk %s: %w", c.disk.Target, err)
	}
	p.Disks = append(p.Disks, PlannedDisk{
		Target: c.disk.Target, Method: ref.Method, Mode: ref.Mode, Why: c.why, Ref: ref.Name, Revert: how,
		method: c.method, ref: ref,
	})
	return nil
}

func (op *operation) planHold(opts CreateOptions) PlannedHold {
	hold := string(Hold)
	switch {
	case op.desc.State == Shutoff:
		return PlannedHold{Why: "the domain is off"}
	case op.desc.State == Paused:
		return PlannedHold{Why: "the domain is paused already"}
	case opts.Quiesce == quiesce.No:
		return PlannedHold{HeldBy: &hold, Why: "paused: freezing was not wanted"}
	case opts.Quiesce == quiesce.Require:
		return PlannedHold{HeldBy: &hold, Why: "file systems frozen, or nothing is done"}
	default:
		return PlannedHold{HeldBy: &hold, Why: "file systems frozen, paused when the agent does not answer"}
	}
}

// refs are all refs of the plan.
func (p *Plan) refs() []methods.Ref {
	refs := make([]methods.Ref, len(p.Disks))
	for i, d := range p.Disks {
		refs[i] = d.ref
	}
	return refs
}

// steps lists, in words, what Create does.
func (p *Plan) steps() []PlannedStep {
	steps := []PlannedStep{{Step: "write the journal"}, {Step: keepMachine}}
	acts := p.acts()
	for _, a := range acts {
		steps = append(steps, PlannedStep{Step: "prepare " + a.label()})
	}
	if p.Hold.HeldBy == nil {
		steps = append(steps, takeSteps(acts, false)...)
	} else {
		steps = append(steps, p.heldSteps(acts)...)
	}
	return append(steps, PlannedStep{Step: "write the lineage"}, PlannedStep{Step: "end the journal"})
}

// heldSteps are those of a guest that runs.
func (p *Plan) heldSteps(acts []*act) []PlannedStep {
	hold := []PlannedStep{{Step: "start the guardian"}, {Step: "hold the guest: " + p.Hold.Why, Window: true}}
	release := PlannedStep{Step: "let the guest go", Window: true}
	if len(p.overlays) == 0 {
		return append(slices.Concat(hold, takeSteps(acts, true)), release)
	}
	var turns [atTheEnd + 1][]*act
	for _, a := range acts {
		turns[p.turnOf(a)] = append(turns[p.turnOf(a)], a)
	}
	raise := []PlannedStep{{Step: "put the disks onto the overlays of the shield", Window: true}}
	return slices.Concat([]PlannedStep{{Step: "make the overlays of the shield"}}, hold, raise, takeSteps(turns[inside], true),
		[]PlannedStep{release}, takeSteps(turns[behind], false), []PlannedStep{{Step: "commit the overlays of the shield"}}, takeSteps(turns[atTheEnd], false))
}

func takeSteps(acts []*act, window bool) []PlannedStep {
	steps := make([]PlannedStep, len(acts))
	for i, a := range acts {
		steps[i] = PlannedStep{Step: "take " + a.label(), Window: window}
	}
	return steps
}

// newID is a fresh snapshot id: ten letters and digits, a letter first.
func newID() string {
	var random [8]byte
	// rand.Read of this package never fails.
	_, _ = rand.Read(random[:])
	text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random[:]))
	return "s" + text[:9]
}

// act is what is prepared and taken in one piece: one disk, or all disks of an atomic method.
type act struct {
	method   methods.Method
	refs     []methods.Ref
	prepared methods.Prepared
	// stage is how far it has come, where that is to be undone.
	stage methods.Stage
}

func (a *act) take(ctx context.Context) error {
	a.stage = methods.Abandoned
	return a.prepared.Take(ctx)
}

func (a *act) label() string {
	names := make([]string, len(a.refs))
	for i, r := range a.refs {
		names[i] = r.Disk.Target
	}
	return fmt.Sprintf("%s by %s", strings.Join(names, ", "), a.method.Traits().Name)
}

// acts groups the disks, in the order in which they are taken.
func (p *Plan) acts() []*act {
	var acts []*act
	groups := map[methods.Method]*act{}
	for _, d := range p.Disks {
		ref := d.ref
		ref.Disk.Still = slices.ContainsFunc(p.overlays, func(o shield.Overlay) bool { return !o.Stays && o.Disk.Target == d.Target })
		if g := groups[d.method]; g != nil {
			g.refs = append(g.refs, ref)
			continue
		}
		a := &act{method: d.method, refs: []methods.Ref{ref}, stage: methods.Readied}
		if d.method.Traits().Atomic {
			groups[d.method] = a
		}
		acts = append(acts, a)
	}
	slices.SortStableFunc(acts, func(a, b *act) int { return a.place() - b.place() })
	return acts
}

// place is where in the window the act comes: whatever can be dropped again without moving data goes first.
func (a *act) place() int {
	switch t := a.method.Traits(); {
	case t.HoldsJob:
		return 2
	case t.MovesSource:
		return 1
	default:
		return 0
	}
}
