package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/xmlspec"
)

// Recovered is what was done for one domain.
type Recovered struct {
	Domain string   `json:"domain"`
	Did    []string `json:"did"`
}

// Recover finishes or undoes the unfinished work of one domain, or of all when the name is empty: a create is undone
// unless it was committed, a revert and a delete are done again to their end. What nobody can finish is ErrUnfinished and
// stays as it is: a journal that is damaged, and the revert or delete of a domain that is gone. A create of a domain that
// is gone is undone when the domain is named. Temporary snapshots whose lease is over go too, and what was asked for at
// the shutdown of a domain that is off is done.
func (o *Orchestrator) Recover(ctx context.Context, domain string) ([]Recovered, error) {
	names, err := o.toRecover(domain)
	if err != nil {
		return nil, err
	}
	recoverOne := o.recoverNamed
	if domain == "" {
		recoverOne = o.recoverOne
	}
	list := []Recovered{}
	var errs []error
	for _, name := range names {
		did, err := recoverOne(ctx, name)
		if err != nil {
			// One domain that cannot be helped now is no reason to leave the others.
			errs = append(errs, fmt.Errorf("recover %s: %w", name, err))
		}
		if did != nil {
			list = append(list, *did)
		}
	}
	for _, then := range []func(context.Context, string) ([]Recovered, error){o.sweep, o.revertAllDue} {
		did, err := then(ctx, domain)
		list, errs = append(list, did...), append(errs, err)
	}
	return list, errors.Join(errs...)
}

// toRecover is the domain, or all that have left something unfinished when the name is empty.
func (o *Orchestrator) toRecover(domain string) ([]string, error) {
	if domain == "" {
		return o.journal.Domains()
	}
	return []string{domain}, nil
}

func (o *Orchestrator) recoverOne(ctx context.Context, name string) (_ *Recovered, err error) {
	ctx, op, err := o.take(ctx, name)
	if err != nil {
		return nil, o.orGone(name, err)
	}
	defer func() { err = errors.Join(err, op.end()) }()
	intent, err := o.pending(op.desc.UUID)
	if err != nil || intent == nil {
		return nil, err
	}
	op.intent = intent
	if err := op.bringBack(ctx); err != nil {
		return nil, op.left(err)
	}
	did, err := op.redo(ctx, intent)
	if err != nil {
		return nil, op.left(err)
	}
	if err := op.endJournal(ctx); err != nil {
		return nil, err
	}
	return &Recovered{Domain: op.desc.Name, Did: did}, nil
}

// pending reads what is unfinished; nil when nothing is.
func (o *Orchestrator) pending(uuid string) (*journal.Intent, error) {
	intent, err := o.journal.Pending(uuid)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, journal.ErrDamaged):
		return nil, &Problem{Kind: ErrUnfinished, Err: err, Hint: "nobody knows any more what was begun: look at the storage for " +
			"what is half done, then remove " + o.journal.Path(uuid)}
	default:
		return intent, err
	}
}

// left is the error of work that was not recovered; there may be nothing unfinished about it any more.
func (op *operation) left(cause error) error {
	if intent, err := op.pending(op.desc.UUID); err == nil && intent == nil {
		return cause
	}
	return op.unfinished(cause)
}

func (op *operation) redo(ctx context.Context, i *journal.Intent) ([]string, error) {
	if err := op.checkIntent(i); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	switch i.Verb {
	case journal.Create:
		return op.undoCreate(ctx, i)
	case journal.Revert:
		return op.redoRevert(ctx, i)
	case journal.Delete:
		return op.redoDelete(ctx, i)
	default:
		return nil, unknownVerb(i)
	}
}

func unknownVerb(i *journal.Intent) error {
	return fmt.Errorf("read journal: unknown verb %q", i.Verb)
}

// checkIntent wants an intent of this domain that is complete in itself.
func (op *operation) checkIntent(i *journal.Intent) error {
	if i.UUID != op.desc.UUID {
		return fmt.Errorf("it is of domain %q", i.UUID)
	}
	if i.Verb != journal.Revert {
		return nil
	}
	disks := len(i.Refs)
	if len(i.Disks) != disks || len(i.Hows) != disks || i.Safety != "" && len(i.Kept) != disks {
		return fmt.Errorf("it has %d snapshots of %d disks in %d ways, %d of them kept", disks, len(i.Disks), len(i.Hows), len(i.Kept))
	}
	return nil
}

// undoCreate leaves a create that was committed as it is, and writes the lineage once more: libvirt shows what it has been
// told though it could not write that to its files, and would forget it with its daemon.
func (op *operation) undoCreate(ctx context.Context, i *journal.Intent) ([]string, error) {
	if err := op.letGo(ctx, i); err != nil {
		return nil, err
	}
	if op.byID(i.Snapshot) != nil {
		return []string{"the snapshot was complete"}, op.commit(ctx)
	}
	if err := op.lowerLeft(ctx, i); err != nil {
		return nil, err
	}
	var did []string
	for _, ref := range i.Refs {
		ref.Disk.Domain = op.identity()
		one, err := op.planDrop(ctx, ref)
		if err != nil {
			return did, err
		}
		one.req.Stage = methods.Abandoned
		if err := one.method.Drop(ctx, one.req); err != nil {
			return did, fmt.Errorf("undo disk %s: %w", ref.Disk.Target, err)
		}
		did = append(did, "removed "+ref.Name)
	}
	return did, nil
}

// letGo comes before everything else: the guest may be held still, if the guardian was killed too.
func (op *operation) letGo(ctx context.Context, i *journal.Intent) error {
	if !op.desc.Active() {
		return nil
	}
	if err := op.alignShield(ctx, i); err != nil {
		return err
	}
	return quiesce.LetGo(ctx, op.domain, State(i.State) == Running && op.desc.State == Paused)
}

// redoDelete writes the lineage once more too where the snapshot is not in it.
func (op *operation) redoDelete(ctx context.Context, i *journal.Intent) ([]string, error) {
	s := op.byID(i.Snapshot)
	if s == nil {
		return []string{"the delete was complete"}, op.commit(ctx)
	}
	d := op.deletion()
	drops, err := op.planDropsAgain(ctx, s, i)
	if err != nil {
		return nil, err
	}
	name := op.byID(i.Snapshot).Name
	return []string{"deleted " + name}, d.drop(ctx, op.byID(i.Snapshot), drops)
}

// planDropsAgain is planDrops after an attempt that may have got anywhere. A drop that was finished is not planned anew:
// its neighbours have their new names already.
func (op *operation) planDropsAgain(ctx context.Context, s *xmlspec.LineageSnapshot, i *journal.Intent) (drops, error) {
	var all drops
	for _, ref := range op.refs(s) {
		one, err := op.finishedDrop(ctx, ref, i)
		if err == nil && !one.done {
			one, err = op.planDrop(ctx, ref)
			one.req.Again = true
		}
		if err != nil {
			return nil, fmt.Errorf("plan the delete of disk %s: %w", ref.Disk.Target, err)
		}
		all = append(all, one)
	}
	return all, nil
}

// finishedDrop finds a drop that was finished in the journal, or else by a neighbour that was to be renamed and has left
// its old name.
func (op *operation) finishedDrop(ctx context.Context, ref methods.Ref, i *journal.Intent) (plannedDrop, error) {
	m, err := op.Methods.Get(ref.Method, ref.Mode)
	if err != nil {
		return plannedDrop{}, err
	}
	one := plannedDrop{method: m, done: i.Did(dropOf(ref))}
	for _, r := range i.Renamed {
		if one.done && r.Disk.Target == ref.Disk.Target {
			one.plan.Renamed = append(one.plan.Renamed, r)
			continue
		}
		for _, old := range op.others(ref) {
			if old.Disk.Target != r.Disk.Target || old.Snapshot != r.Snapshot {
				continue
			}
			if _, err := m.Stat(ctx, old); errors.Is(err, methods.ErrNotFound) {
				one.done, one.plan.Renamed = true, append(one.plan.Renamed, r)
			} else if err != nil {
				return plannedDrop{}, err
			}
		}
	}
	return one, nil
}

func (op *operation) redoRevert(ctx context.Context, i *journal.Intent) ([]string, error) {
	if i.PowerOff {
		return op.powerOn(ctx, i)
	}
	if err := op.mayRedoRevert(i); err != nil {
		return nil, err
	}
	r := &reversion{
		operation: op, runner: op.runner(), begun: i.Started,
		before: Shutoff, after: State(i.State), to: op.byID(i.Snapshot),
	}
	r.opts.Verify = i.Verify
	if !i.Whole {
		for _, d := range i.Disks {
			r.opts.Disks = append(r.opts.Disks, d.Target)
		}
	}
	if err := r.resume(i); err != nil {
		return nil, err
	}
	if err := r.redoDisks(ctx, i); err != nil {
		return nil, err
	}
	_, err := r.finish(ctx)
	did := []string{"reverted to " + r.to.Name}
	if i.Verify {
		did = append(did, "compared the disks with "+r.to.Name)
	}
	return did, err
}

// powerOn gives a domain back that was powered off for a revert of which nothing else was done.
func (op *operation) powerOn(ctx context.Context, i *journal.Intent) ([]string, error) {
	r := &reversion{operation: op, runner: op.runner()}
	if op.desc.State != Shutoff {
		return []string{"nothing was reverted, and the domain is " + string(op.desc.State)}, r.leaveIn(ctx, Shutoff)
	}
	return []string{"nothing was reverted; started the domain again"}, r.leaveIn(ctx, State(i.Before))
}

func (op *operation) mayRedoRevert(i *journal.Intent) error {
	if op.desc.State != Shutoff && !i.Reverted {
		return refuse("power it off", "domain %s runs on half-reverted disks", op.desc.Name)
	}
	if op.byID(i.Snapshot) == nil {
		return fmt.Errorf("read journal: snapshot %s is not in the lineage", i.Snapshot)
	}
	return nil
}

// redoDisks reverts all disks again, also those that are noted as done: the domain may have been started meanwhile, and
// stopped again. One that was started when all disks were done keeps what it wrote.
func (r *reversion) redoDisks(ctx context.Context, i *journal.Intent) error {
	if i.Reverted {
		if r.desc.State != Shutoff {
			r.after = Shutoff // nothing is left to start
		}
		return nil
	}
	for _, before := range []func(context.Context) error{r.completeSafety, r.stageMachine} {
		if err := before(ctx); err != nil {
			return err
		}
	}
	if err := r.revertAll(ctx); err != nil {
		return err
	}
	for _, d := range r.disks {
		// Where they differed before, nobody knows any more.
		d.changed = methods.Whole()
	}
	if err := r.verify(ctx); err != nil {
		return err
	}
	return r.markReverted(ctx)
}

// resume rebuilds the work from the journal.
func (r *reversion) resume(i *journal.Intent) error {
	r.safety, r.back, r.gone = i.Safety, i.Back, i.Gone
	for n, ref := range i.Refs {
		m, err := r.Methods.Get(ref.Method, ref.Mode)
		if err != nil {
			return err
		}
		disk := i.Disks[n]
		disk.Domain = r.identity()
		d := &revertingDisk{method: m, req: r.toMethod(ref, disk, i.Hows[n])}
		d.req.Again = true
		if i.Safety != "" {
			d.keep = &i.Kept[n]
		}
		for _, target := range i.Moving {
			if target == disk.Target {
				d.moving, d.req.Keep = true, d.keep
			}
		}
		r.disks = append(r.disks, d)
	}
	return nil
}
