package orchestrator

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/journal"
)

// PlanRecover lists what Recover would do. It fails where Recover would know beforehand that it fails.
func (o *Orchestrator) PlanRecover(ctx context.Context, domain string) ([]PlannedStep, error) {
	names, err := o.toRecover(domain)
	if err != nil {
		return nil, err
	}
	steps := []PlannedStep{}
	var errs []error
	for _, name := range names {
		more, err := o.planRecoverOne(ctx, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("recover %s: %w", name, err))
		}
		for _, s := range more {
			steps = append(steps, PlannedStep{Step: s})
		}
	}
	for _, then := range []func(context.Context, string) ([]PlannedStep, error){o.planSweep, o.planAllDue} {
		more, err := then(ctx, domain)
		steps, errs = append(steps, more...), append(errs, err)
	}
	return steps, errors.Join(errs...)
}

func (o *Orchestrator) planRecoverOne(ctx context.Context, name string) ([]string, error) {
	op, err := o.look(ctx, name)
	if err != nil {
		return nil, o.orGone(name, err)
	}
	intent, err := o.pending(op.desc.UUID)
	if err != nil || intent == nil {
		return nil, err
	}
	steps, err := op.planRedo(intent)
	if err != nil {
		return nil, op.unfinished(err)
	}
	steps = append(steps, "end the journal")
	for i := range steps {
		steps[i] = op.desc.Name + ": " + steps[i]
	}
	return steps, nil
}

func (op *operation) planRedo(i *journal.Intent) ([]string, error) {
	switch i.Verb {
	case journal.Create:
		return op.planUndoCreate(i), nil
	case journal.Revert:
		return op.planRedoRevert(i)
	case journal.Delete:
		return op.planRedoDelete(i), nil
	default:
		return nil, unknownVerb(i)
	}
}

func (op *operation) planUndoCreate(i *journal.Intent) []string {
	var steps []string
	if op.desc.Active() {
		steps = append(steps, "let the guest go, if it is held")
	}
	if op.byID(i.Snapshot) != nil {
		return append(steps, "write the lineage")
	}
	if len(i.Shield) > 0 {
		steps = append(steps, "take away what is left of the shield")
	}
	return append(steps, each(i.Refs, "remove %s by %s: %s")...)
}

func (op *operation) planRedoRevert(i *journal.Intent) ([]string, error) {
	if i.PowerOff {
		return op.planStart(State(i.Before)), nil
	}
	if err := op.mayRedoRevert(i); err != nil {
		return nil, err
	}
	var steps []string
	if !i.Reverted {
		steps = append(each(i.Kept, "keep the present of %s by %s, where that is missing: %s"), each(i.Refs, "revert %s by %s to %s")...)
	}
	if !i.Reverted {
		for _, s := range (&reversion{back: i.Back, gone: i.Gone}).putBack() {
			steps = append(steps, s.name)
		}
	}
	if i.Verify && !i.Reverted {
		steps = append(steps, "compare the disks with the snapshot")
	}
	return append(append(steps, "write the lineage"), op.planStart(State(i.State))...), nil
}

// planStart is what brings the domain into a state.
func (op *operation) planStart(state State) []string {
	if op.desc.State != Shutoff || state == Shutoff {
		return nil
	}
	return []string{"start the domain"}
}

func (op *operation) planRedoDelete(i *journal.Intent) []string {
	s := op.byID(i.Snapshot)
	if s == nil {
		return []string{"write the lineage"}
	}
	return append(each(i.Refs, "drop %s by %s: %s"), "forget snapshot "+s.Name)
}

func each(refs []methods.Ref, format string) []string {
	steps := make([]string, len(refs))
	for n, ref := range refs {
		steps[n] = fmt.Sprintf(format, ref.Disk.Target, ref.Method, ref.Name)
	}
	return steps
}
