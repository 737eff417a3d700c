package orchestrator

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/xmlspec"
)

// DeleteOptions say what goes.
type DeleteOptions struct {
	Domain, Snapshot string
	// Children deletes what derives from the snapshot too, ChildrenOnly just that.
	Children, ChildrenOnly bool
	// Metadata forgets the snapshot and touches no storage.
	Metadata bool
}

// DeleteResult is what went, and what will go by itself later.
type DeleteResult struct {
	Deleted       []string        `json:"deleted"`
	PendingDelete []PendingDelete `json:"pending_delete"`
}

// PendingDelete is a snapshot that is needed by others still.
type PendingDelete struct {
	Name    string   `json:"name"`
	Because []string `json:"because"`
}

// Delete removes snapshots, youngest first. The present content of the disks and all other snapshots stay. Where something
// that a person can move stands in the way of one, that is methods.ErrBlocked and nothing is changed.
func (o *Orchestrator) Delete(ctx context.Context, opts DeleteOptions) (_ *DeleteResult, err error) {
	ctx, op, err := o.begin(ctx, opts.Domain)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	ids, err := op.doomed(opts)
	if err != nil {
		return nil, err
	}
	// The first is looked at anyway, before anything is changed.
	if err := op.checkDrops(ctx, ids[min(1, len(ids)):], opts.Metadata); err != nil {
		return nil, err
	}
	d := op.deletion()
	d.metadataOnly = opts.Metadata
	return d.all(ctx, ids)
}

// checkDrops fails where one of the snapshots cannot be deleted, so that none of them is.
func (op *operation) checkDrops(ctx context.Context, ids []string, metadataOnly bool) error {
	if metadataOnly {
		return nil
	}
	for _, id := range ids {
		if _, err := op.planDrops(ctx, op.byID(id)); err != nil {
			return err
		}
	}
	return nil
}

// PlanDelete lists what Delete would do.
func (o *Orchestrator) PlanDelete(ctx context.Context, opts DeleteOptions) ([]PlannedStep, error) {
	op, err := o.look(ctx, opts.Domain)
	if err != nil {
		return nil, err
	}
	ids, err := op.doomed(opts)
	if err != nil {
		return nil, err
	}
	return op.deleteSteps(ids, opts.Metadata), op.checkDrops(ctx, ids, opts.Metadata)
}

func (op *operation) deleteSteps(ids []string, metadataOnly bool) []PlannedStep {
	steps := []PlannedStep{}
	for _, id := range ids {
		s := op.byID(id)
		for _, ref := range op.refs(s) {
			if !metadataOnly {
				steps = append(steps, PlannedStep{Step: fmt.Sprintf("drop %s by %s of snapshot %s", ref.Name, ref.Method, s.Name)})
			}
		}
		steps = append(steps, PlannedStep{Step: "forget snapshot " + s.Name})
	}
	return steps
}

// doomed are the ids to delete, children before parents.
func (op *operation) doomed(opts DeleteOptions) ([]string, error) {
	s, err := op.snapshot(opts.Snapshot)
	if err != nil {
		return nil, err
	}
	var ids []string
	if opts.Children || opts.ChildrenOnly {
		ids = op.descendants(s.ID)
	}
	if !opts.ChildrenOnly {
		ids = append(ids, s.ID)
	}
	return ids, op.checkNotAsked(ids)
}

func (op *operation) descendants(id string) []string {
	var ids []string
	for _, s := range op.lineage.Snapshots {
		if s.Parent == id {
			ids = append(ids, op.descendants(s.ID)...)
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// deletion is one Delete at work.
type deletion struct {
	*operation
	*runner
	// metadataOnly forgets the snapshots and touches no storage.
	metadataOnly bool
	// patient: a snapshot that something stands in the way of is deleted later; else it is refused.
	patient bool
	result  DeleteResult
}

func (op *operation) deletion() *deletion {
	return &deletion{
		operation: op, runner: op.runner(),
		result: DeleteResult{Deleted: []string{}, PendingDelete: []PendingDelete{}},
	}
}

// all deletes the snapshots in this order, and then what was waiting for them.
func (d *deletion) all(ctx context.Context, ids []string) (*DeleteResult, error) {
	one := d.one
	if d.metadataOnly {
		one = d.forget
	}
	for _, id := range ids {
		if err := one(ctx, id); err != nil {
			return nil, err
		}
	}
	return &d.result, d.retryPending(ctx)
}

// forget leaves the storage as it is, and firmware and TPM for who adopts the snapshot.
func (d *deletion) forget(ctx context.Context, id string) error {
	s := d.byID(id)
	machine := s.Machine != ""
	d.result.Deleted = append(d.result.Deleted, s.Name)
	d.lineage.Forget(id)
	if err := d.commit(ctx); err != nil || machine {
		return err
	}
	return d.forgetMachines(id)
}

// one deletes a snapshot, or marks it for later when others need it.
func (d *deletion) one(ctx context.Context, id string) error {
	s := d.byID(id)
	name := s.Name
	if err := d.checkPlaced(ctx); err != nil {
		return err
	}
	drops, err := d.planDrops(ctx, s)
	if d.patient && errors.Is(err, methods.ErrBlocked) {
		return d.postpone(ctx, id, []string{err.Error()})
	}
	if err != nil {
		return err
	}
	if because := drops.neededBy(); len(because) > 0 {
		return d.postpone(ctx, id, because)
	}
	if err := d.drop(ctx, s, drops); err != nil {
		return err
	}
	d.result.Deleted = append(d.result.Deleted, name)
	return nil
}

func (d *deletion) postpone(ctx context.Context, id string, because []string) error {
	s := d.byID(id)
	d.result.PendingDelete = append(d.result.PendingDelete, PendingDelete{Name: s.Name, Because: because})
	s.State, s.Reason = StatePendingDelete, because[0]
	return d.commit(ctx)
}

// drop removes a snapshot from its storages and then from the lineage. From its first act on it only goes forward.
func (d *deletion) drop(ctx context.Context, s *xmlspec.LineageSnapshot, drops drops) error {
	id := s.ID
	if err := d.authorize(ctx); err != nil {
		return err
	}
	if err := d.writeJournal(ctx, d.intent(s, drops)); err != nil {
		return err
	}
	for _, one := range drops {
		if one.done {
			continue
		}
		err := d.runner.run(ctx, step{
			name: dropOf(one.req.Ref), noted: true,
			do: func(ctx context.Context) error { return one.method.Drop(ctx, one.req) },
		})
		if err != nil {
			return d.unfinished(err)
		}
	}
	if err := d.settle(ctx, id, drops); err != nil {
		return d.unfinished(err)
	}
	return nil
}

// dropOf is the name of the step, and of the act in the journal.
func dropOf(ref methods.Ref) string { return "drop " + ref.Disk.Target }

func (d *deletion) settle(ctx context.Context, id string, drops drops) error {
	if err := d.refresh(ctx); err != nil {
		return err
	}
	for _, one := range drops {
		for _, renamed := range one.plan.Renamed {
			d.lineage.Replace(renamed.Snapshot, toRecord(renamed))
		}
	}
	d.lineage.Forget(id)
	if err := d.commit(ctx); err != nil {
		return err
	}
	return d.endJournal(ctx)
}

func (d *deletion) intent(s *xmlspec.LineageSnapshot, drops drops) journal.Intent {
	i := journal.Intent{
		Verb: journal.Delete, Domain: d.desc.Name, UUID: d.desc.UUID, Started: d.Now(),
		Snapshot: s.ID, Refs: d.refs(s),
	}
	for _, one := range drops {
		i.Renamed = append(i.Renamed, one.plan.Renamed...)
	}
	return i
}

// retryPending deletes what was waiting for what has gone, just now or by itself.
func (d *deletion) retryPending(ctx context.Context) error {
	again := len(d.lineage.InState(StatePendingDelete)) > 0
	if again && d.checkPlaced(ctx) != nil {
		return nil // they wait on
	}
	for again {
		again = false
		for _, id := range d.lineage.InState(StatePendingDelete) {
			s := d.byID(id)
			name := s.Name
			drops, err := d.planDrops(ctx, s)
			if errors.Is(err, methods.ErrBlocked) || len(drops.neededBy()) > 0 {
				continue
			}
			if err != nil {
				return err
			}
			if err := d.drop(ctx, s, drops); err != nil {
				return err
			}
			d.result.Deleted = append(d.result.Deleted, name)
			again = true
		}
	}
	return nil
}

// plannedDrop is one disk of a snapshot to delete.
type plannedDrop struct {
	method methods.Method
	req    methods.DropRequest
	plan   methods.DropPlan
	// done says that an attempt before has finished it.
	done bool
}

type drops []plannedDrop

func (d drops) neededBy() []string {
	var by []string
	for _, one := range d {
		for _, who := range one.plan.NeededBy {
			by = append(by, one.req.Ref.Disk.Target+" is needed by "+who)
		}
	}
	return by
}

// planDrops asks all disks for what stands in the way, but for a snapshot that is needed, which stays anyway.
func (op *operation) planDrops(ctx context.Context, s *xmlspec.LineageSnapshot) (drops, error) {
	ctx = command.WithMemory(ctx)
	if err := errors.Join(op.refresh(ctx), op.findHolds(), op.findBases()); err != nil {
		return nil, err
	}
	var all drops
	for _, ref := range op.refs(op.byID(s.ID)) {
		one, err := op.planDrop(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("plan the delete of disk %s: %w", ref.Disk.Target, err)
		}
		one.plan.NeededBy = append(one.plan.NeededBy, op.incrementsOf(s.ID)...)
		all = append(all, one)
	}
	if len(all.neededBy()) > 0 {
		return all, nil
	}
	return all, all.check(ctx)
}

// check finds what would fail later, when other disks have lost their part of the snapshot.
func (d drops) check(ctx context.Context) error {
	for _, one := range d {
		if err := methods.CheckDrop(ctx, one.method, one.req); err != nil {
			return fmt.Errorf("plan the delete of disk %s: %w", one.req.Ref.Disk.Target, err)
		}
	}
	return nil
}

func (op *operation) planDrop(ctx context.Context, ref methods.Ref) (plannedDrop, error) {
	m, err := op.Methods.Get(ref.Method, ref.Mode)
	if err != nil {
		return plannedDrop{}, err
	}
	disk, err := op.present(ctx, ref.Disk.Target)
	if err != nil {
		return plannedDrop{}, err
	}
	req := methods.DropRequest{
		Ref: ref, Disk: disk, Others: op.others(ref), Progress: op.progress("drop " + ref.Disk.Target),
	}
	plan, err := methods.PlanDrop(ctx, m, req)
	plan.NeededBy = append(plan.NeededBy, op.readers(ref, plan)...)
	return plannedDrop{method: m, req: req, plan: plan}, err
}
