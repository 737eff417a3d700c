package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

// PlanRevert lists what Revert would do.
func (o *Orchestrator) PlanRevert(ctx context.Context, opts RevertOptions) ([]PlannedStep, error) {
	op, err := o.look(ctx, opts.Domain)
	if err != nil {
		return nil, err
	}
	r := &reversion{operation: op, opts: opts}
	plan := r.plan
	if opts.AtShutdown {
		plan = r.planAtShutdown
	}
	if err := plan(ctx); err != nil {
		return nil, err
	}
	return r.steps(), nil
}

func (r *reversion) steps() []PlannedStep {
	var steps []PlannedStep
	switch {
	case r.opts.AtShutdown:
		steps = append(steps, PlannedStep{Step: "wait until the domain is shut down"})
	case r.before != Shutoff:
		steps = append(steps, PlannedStep{Step: "power the domain off"})
	}
	if !r.opts.NoSafety {
		steps = append(steps, PlannedStep{Step: "keep the present as a safety snapshot"})
	}
	for _, d := range r.disks {
		steps = append(steps, PlannedStep{Step: fmt.Sprintf("revert %s by %s to %s (%s)", d.req.Disk.Target, d.req.To.Method, d.req.To.Name, d.req.How)})
	}
	if r.opts.Verify {
		steps = append(steps, PlannedStep{Step: "compare the disks with the snapshot"})
	}
	for _, s := range r.putBack() {
		steps = append(steps, PlannedStep{Step: s.name})
	}
	steps = append(steps, PlannedStep{Step: "write the lineage"})
	if r.after != Shutoff {
		steps = append(steps, PlannedStep{Step: "start the domain"})
	}
	return steps
}

// plan finds out everything that can be known while the domain still runs.
func (r *reversion) plan(ctx context.Context) (err error) {
	ctx = command.WithMemory(ctx)
	if r.to, err = r.snapshot(r.opts.Snapshot); err != nil {
		return err
	}
	if r.to.State != "" {
		return refuse("", "snapshot %q is %s", r.to.Name, r.to.State)
	}
	if err := errors.Join(r.checkNotSaved(), r.checkPlaced(ctx)); err != nil {
		return err
	}
	r.before = r.desc.State
	r.after = State(orElse(string(r.opts.After), string(r.before)))
	if r.before != Shutoff && !r.opts.Force && !r.opts.AtShutdown {
		return refuse("shut it down first, use --force to power it off, or --at-shutdown to wait until it is off", "domain %s is %s", r.desc.Name, r.before)
	}
	if r.before != Shutoff && !r.desc.Persistent {
		return refuse("define it first", "domain %s is transient: powered off it would be gone", r.desc.Name)
	}
	if err := r.checkMap(); err != nil {
		return err
	}
	if err := errors.Join(r.planDisks(ctx), r.planMachine(ctx), r.findAdded()); err != nil {
		return err
	}
	return r.checkUnchanged()
}

// whole: the snapshot goes back as it was, disks and machine.
func (r *reversion) whole() bool { return len(r.opts.Disks) == 0 }

func (r *reversion) planDisks(ctx context.Context) error {
	for _, target := range r.opts.Disks {
		if !r.to.Has(target) {
			return NotFoundf("snapshot %q has no disk %q", r.to.Name, target)
		}
	}
	for _, ref := range r.refs(r.to) {
		if !r.whole() && !slices.Contains(r.opts.Disks, ref.Disk.Target) {
			continue
		}
		if err := r.planDisk(ctx, ref); err != nil {
			return fmt.Errorf("check disk %s: %w", ref.Disk.Target, err)
		}
	}
	return nil
}

func (r *reversion) planDisk(ctx context.Context, ref methods.Ref) error {
	disk, err := r.present(ctx, r.targetNow(ref.Disk.Target))
	if err != nil {
		return err
	}
	if disk.Target == "" {
		r.changed = append(r.changed, ref.Disk.Target+" was removed")
		return nil
	}
	m, err := r.Methods.Get(ref.Method, ref.Mode)
	if err != nil {
		return err
	}
	if disk.Target != ref.Disk.Target && m.Traits().MovesSource {
		return refuse("give the disk its target back", "method %s follows a disk by its target, and %s is %s by now", ref.Method, ref.Disk.Target, disk.Target)
	}
	if _, err := m.Stat(ctx, ref); err != nil {
		return err
	}
	how, err := methods.ExpectRevert(ctx, m, ref)
	if err != nil {
		return err
	}
	r.disks = append(r.disks, &revertingDisk{method: m, req: r.toMethod(ref, disk, how)})
	return nil
}

// toMethod is what a method is asked for a disk.
func (r *reversion) toMethod(ref methods.Ref, disk methods.Disk, how methods.How) methods.RevertRequest {
	return methods.RevertRequest{
		To: ref, Disk: disk, Others: r.othersOf(ref, disk), How: how, Disks: r.DiskAccess, Progress: r.progress("revert " + disk.Target),
	}
}
