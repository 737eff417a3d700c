package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/domsnap/domsnap/orchestrator/lease"
	"github.com/domsnap/domsnap/xmlspec"
)

func leaseOf(s *xmlspec.LineageSnapshot) lease.Lease {
	l := lease.Lease{Holder: lease.Holder(s.Holder)}
	if s.Until != 0 {
		l.Until = time.Unix(s.Until, 0).UTC()
	}
	return l
}

// Expire deletes the temporary snapshots of a domain whose lease is over, the youngest first, and what waits for nobody any
// more. One that something stands in the way of goes later.
func (o *Orchestrator) Expire(ctx context.Context, domain string) (_ *DeleteResult, err error) {
	op, err := o.look(ctx, domain)
	if err != nil {
		return nil, err
	}
	if !op.overdue() {
		return &op.deletion().result, nil
	}
	if ctx, op, err = o.begin(ctx, domain); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	d := op.deletion()
	d.patient = true
	return d.all(ctx, op.expired())
}

// expired are the ids of the snapshots whose lease is over, the youngest first.
func (op *operation) expired() []string {
	var ids []string
	for n := len(op.lineage.Snapshots) - 1; n >= 0; n-- {
		if s := &op.lineage.Snapshots[n]; s.State == "" && leaseOf(s).Over(op.Now()) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// overdue says that there may be something for Expire to do.
func (op *operation) overdue() bool {
	return len(op.expired()) > 0 || len(op.lineage.InState(StatePendingDelete)) > 0
}

// sweep is Expire for one domain, or for all when the name is empty. It leaves alone who is at work.
func (o *Orchestrator) sweep(ctx context.Context, domain string) ([]Recovered, error) {
	names, err := o.toCheck(ctx, domain)
	if err != nil {
		return nil, err
	}
	var list []Recovered
	var errs []error
	for _, name := range names {
		did, err := o.sweepOne(ctx, name)
		if err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrNotFound) {
			errs = append(errs, fmt.Errorf("end the leases of %s: %w", name, err))
		}
		if did != nil {
			list = append(list, *did)
		}
	}
	return list, errors.Join(errs...)
}

// sweepOne gives nil where there is nothing to do, or where recover has said that it could not go on.
func (o *Orchestrator) sweepOne(ctx context.Context, name string) (*Recovered, error) {
	op, err := o.look(ctx, name)
	if err != nil || !op.overdue() {
		return nil, err
	}
	if intent, err := o.pending(op.desc.UUID); err != nil || intent != nil {
		return nil, nil
	}
	result, err := o.Expire(ctx, name)
	if err != nil || len(result.Deleted) == 0 {
		return nil, err
	}
	r := &Recovered{Domain: op.desc.Name}
	for _, gone := range result.Deleted {
		r.Did = append(r.Did, "deleted "+gone+", whose lease was over or which nobody needed any more")
	}
	return r, nil
}

// planSweep leaves what cannot be looked at to those who say so.
func (o *Orchestrator) planSweep(ctx context.Context, domain string) ([]PlannedStep, error) {
	names, err := o.toCheck(ctx, domain)
	if err != nil {
		return nil, err
	}
	var steps []PlannedStep
	for _, name := range names {
		op, err := o.look(ctx, name)
		if err != nil {
			continue
		}
		for _, id := range op.expired() {
			steps = append(steps, PlannedStep{Step: fmt.Sprintf("%s: delete %s, whose lease is over", op.desc.Name, op.byID(id).Name)})
		}
		for _, id := range op.needless(ctx) {
			steps = append(steps, PlannedStep{Step: fmt.Sprintf("%s: delete %s, which nobody needs any more", op.desc.Name, op.byID(id).Name)})
		}
	}
	return steps, nil
}
