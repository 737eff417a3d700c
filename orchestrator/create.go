package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/orchestrator/machine"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/xmlspec"
)

// Create takes a snapshot of all disks, or of none. When it returns without error the snapshot is durable and the guest
// is confirmed to go on. After ErrFailed and quiesce.ErrNotQuiesced everything is as it was before; after ErrUnfinished
// recover has something to do.
func (o *Orchestrator) Create(ctx context.Context, opts CreateOptions) (_ *Snapshot, err error) {
	ctx, op, err := o.begin(ctx, opts.Domain)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	plan, err := op.planCreate(ctx, opts)
	if err != nil {
		return nil, err
	}
	c := &creation{operation: op, plan: plan, opts: opts, runner: op.runner()}
	return c.run(ctx)
}

// creation is one Create at work.
type creation struct {
	*operation
	*runner
	plan   *Plan
	opts   CreateOptions
	acts   []*act
	report quiesce.Report
	// machine is what belongs to the snapshot besides the disks.
	machine *machine.Keeping
	// unkept says what besides the disks is not in it.
	unkept []string
	// shield is what keeps the disks still while the guest goes on; nil for nothing.
	shield *shielding
	// shieldedFor is how long the guest wrote to overlays, commitFor how long of that they were committed.
	shieldedFor, commitFor time.Duration
	// notes say, for people, why it was not done as planned.
	notes []string
}

func (c *creation) run(ctx context.Context) (*Snapshot, error) {
	if err := c.writeJournal(ctx, c.intent()); err != nil {
		return nil, err
	}
	if err := c.make(ctx); err != nil {
		return nil, c.fail(ctx, err)
	}
	// The commit point: from here the snapshot is there, and undoing it is a delete.
	if err := c.commitSnapshot(ctx); err != nil {
		return nil, c.commitFailed(ctx, err)
	}
	if err := c.endJournal(ctx); err != nil {
		return nil, c.unfinished(err)
	}
	return c.view(ctx, c.byID(c.plan.ID)), nil
}

func (c *creation) intent() journal.Intent {
	return journal.Intent{
		Verb: journal.Create, Domain: c.desc.Name, UUID: c.desc.UUID, Started: c.Now(),
		Snapshot: c.plan.ID, Name: c.plan.Name, Refs: c.plan.refs(), State: string(c.desc.State), Shield: c.plan.overlays,
	}
}

// fail takes everything back. What cannot be taken back, what may still come, and a guest that may be held still, is left
// to recover.
func (c *creation) fail(ctx context.Context, cause error) error {
	if errors.Is(cause, quiesce.ErrNotReleased) {
		return cause
	}
	if errors.Is(cause, ErrUnfinished) {
		return c.unfinished(cause)
	}
	err := c.lower(ctx, nil)
	if err == nil {
		err = c.undo(ctx)
	}
	if err != nil {
		return c.unfinished(errors.Join(cause, err))
	}
	if err := c.endJournal(ctx); err != nil {
		return c.unfinished(errors.Join(cause, err))
	}
	if errors.Is(cause, quiesce.ErrNotQuiesced) || errors.Is(cause, quiesce.ErrFrozen) {
		return cause
	}
	return &Problem{Kind: ErrFailed, Err: cause}
}

func (c *creation) make(ctx context.Context) error {
	err := c.takeStill(ctx)
	if err == nil {
		err = c.lower(ctx, c.handOver)
	}
	if err != nil {
		c.abandon(ctx)
		return err
	}
	if err := errors.Join(c.close(ctx), c.finishMachine(ctx)); err != nil {
		return err
	}
	return c.verify(ctx)
}

func (c *creation) takeStill(ctx context.Context) error {
	if c.desc.State == Running {
		c.startGuardian(ctx)
	}
	if err := c.keepMachine(ctx); err != nil {
		return err
	}
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if err := c.stateKept(ctx); err != nil {
		return err
	}
	if err := c.readyShield(ctx); err != nil {
		return err
	}
	if err := c.still(ctx); err != nil {
		return err
	}
	return c.behind(ctx)
}

// commitFailed undoes the snapshot only when the lineage is certain not to have it.
func (c *creation) commitFailed(ctx context.Context, cause error) error {
	if errors.Is(cause, context.DeadlineExceeded) {
		return c.unfinished(cause)
	}
	if err := c.refresh(context.WithoutCancel(ctx)); err != nil || c.byID(c.plan.ID) != nil {
		return c.unfinished(errors.Join(cause, err))
	}
	return c.fail(ctx, cause)
}

// stateKept makes sure that the domain was not started or stopped while the snapshot was prepared.
func (c *creation) stateKept(ctx context.Context) error {
	before := c.desc.State
	if err := c.refresh(ctx); err != nil {
		return err
	}
	if c.desc.State != before {
		return fmt.Errorf("the domain was %s and is %s now", before, c.desc.State)
	}
	return nil
}

func (c *creation) prepare(ctx context.Context) error {
	for _, a := range c.plan.acts() {
		c.acts = append(c.acts, a)
		err := c.runner.run(ctx, step{
			name: "prepare " + a.label(),
			do: func(ctx context.Context) (err error) {
				a.prepared, err = methods.Prepare(ctx, a.method, a.refs)
				return err
			},
			undo: func(ctx context.Context) error { return c.dropAll(ctx, a) },
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dropAll removes whatever there is of an act: prepared, half taken or taken.
func (c *creation) dropAll(ctx context.Context, a *act) error {
	if err := c.refresh(ctx); err != nil {
		return err
	}
	var errs []error
	for _, ref := range a.refs {
		disk, err := c.present(ctx, ref.Disk.Target)
		if err == nil {
			err = a.method.Drop(ctx, methods.DropRequest{Ref: ref, Disk: disk, Others: c.others(ref), Stage: a.stage})
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *creation) close(ctx context.Context) error {
	var errs []error
	for _, a := range c.acts {
		if a.prepared != nil {
			errs = append(errs, a.prepared.Close(ctx))
			a.prepared = nil
		}
	}
	return errors.Join(errs...)
}

// abandon closes what is to be undone. All that it could answer is that it has given up; undoing asks the storage.
func (c *creation) abandon(ctx context.Context) {
	ctx, end := context.WithCancel(ctx)
	end()
	_ = c.close(ctx)
}

// takeAll is what happens while the guest is held: the acts that can be dropped again side by side, then one by one
// those that move a disk and those after which libvirt does nothing else.
func (c *creation) takeAll(ctx context.Context) error {
	first := slices.Concat(c.renewMachine(), c.takes(func(a *act) bool { return a.place() == 0 }))
	if err := c.together(ctx, first); err != nil {
		return err
	}
	return c.runner.run(ctx, c.takes(func(a *act) bool { return a.place() > 0 })...)
}

// takes are the takes of the acts that are chosen, in their order.
func (c *creation) takes(chosen func(*act) bool) []step {
	var steps []step
	for _, a := range c.acts {
		if chosen(a) {
			steps = append(steps, step{name: "take " + a.label(), lock: a.refs[0].Lock, do: a.take})
		}
	}
	return steps
}

// verify asks every storage for what was just made.
func (c *creation) verify(ctx context.Context) error {
	ctx = command.WithMemory(ctx)
	for _, a := range c.acts {
		for _, ref := range a.refs {
			if _, err := a.method.Stat(ctx, ref); err != nil {
				return fmt.Errorf("verify disk %s: %w", ref.Disk.Target, err)
			}
		}
	}
	return nil
}

func (c *creation) commitSnapshot(ctx context.Context) error {
	// The disks may have moved, and others write to the domain's metadata too.
	if err := c.refresh(ctx); err != nil {
		return err
	}
	c.lineage.Snapshots = append(c.lineage.Snapshots, c.record())
	c.lineage.Settle(c.plan.ID, targetsOf(c.plan.refs()))
	return c.commit(ctx)
}

func targetsOf(refs []methods.Ref) []string {
	var targets []string
	for _, ref := range refs {
		targets = append(targets, ref.Disk.Target)
	}
	return targets
}

func (c *creation) record() xmlspec.LineageSnapshot {
	s := xmlspec.LineageSnapshot{
		ID: c.plan.ID, Name: c.plan.Name, Parent: c.lineage.Current, Created: c.Now().Unix(),
		Description: c.plan.Description, Level: string(c.report.Level),
		FrozenMS: c.report.FrozenFor.Milliseconds(), PausedMS: c.report.PausedFor.Milliseconds(),
		ShieldedMS: c.shieldedFor.Milliseconds(), CommitMS: c.commitFor.Milliseconds(),
		Frozen: c.report.Frozen, Thawed: c.report.Thawed, Machine: strings.Join(c.machine.Names(), " "), Holder: string(c.opts.Lease.Holder),
	}
	if until := c.opts.Lease.Until; !until.IsZero() {
		s.Until = until.Unix()
	}
	if c.report.Held || c.shieldedFor > 0 {
		s.HeldBy = *c.plan.Hold.HeldBy
	}
	for _, skipped := range c.plan.Skipped {
		s.Skipped = append(s.Skipped, skipped.Target+": "+skipped.Why)
	}
	s.Skipped = slices.Concat(s.Skipped, c.unkept, c.notes, c.report.Notes)
	for _, ref := range c.plan.refs() {
		s.Disks = append(s.Disks, toRecord(ref))
	}
	return s
}
