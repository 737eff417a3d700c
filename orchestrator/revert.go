package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/orchestrator/machine"
	"github.com/domsnap/domsnap/xmlspec"
)

// RevertOptions say what goes back to what.
type RevertOptions struct {
	Domain, Snapshot string
	// Disks are the targets to revert; empty for all of the snapshot, and the machine.
	Disks []string
	// Map are disks that have another target by now.
	Map []Mapping
	// Force powers the domain off first, if it is on.
	Force bool
	// After is the state to end in; empty for the state before.
	After State
	// NoSafety does not keep the present.
	NoSafety bool
	// Verify reads the disks after the revert and compares them with the snapshot.
	Verify bool
	// AtShutdown is for a domain that is on, and will be off by then.
	AtShutdown bool
}

// RevertResult is what a revert did.
type RevertResult struct {
	Domain      string         `json:"domain"`
	RevertedTo  string         `json:"reverted_to"`
	Safety      *string        `json:"safety"`
	Disks       []RevertedDisk `json:"disks"`
	DomainState State          `json:"domain_state"`
	// Withdrawn is the snapshot of the revert that was asked for at the next shutdown, and that this one stands for.
	Withdrawn *string `json:"withdrawn"`
}

// RevertedDisk is one disk of it.
type RevertedDisk struct {
	Target       string      `json:"target"`
	InPlace      bool        `json:"in_place"`
	How          methods.How `json:"how"`
	BytesWritten int64       `json:"bytes_written"`
	TookMS       int64       `json:"took_ms"`
	// Verified is how many bytes were read and found equal; null when that was not asked for.
	Verified *int64 `json:"verified_bytes"`
}

// reversion is one Revert at work.
type reversion struct {
	*operation
	*runner
	opts   RevertOptions
	to     *xmlspec.LineageSnapshot
	disks  []*revertingDisk
	safety string
	// due says that this is what was asked for at the shutdown.
	due bool
	// back are the parts of the machine to put back, gone those that it did not have; changed is what of the domain is not
	// as it was.
	back    []machine.Part
	gone    []machine.Part
	changed []string
	before  State
	after   State
	begun   time.Time
}

// revertingDisk is one disk on its way back.
type revertingDisk struct {
	method methods.Method
	req    methods.RevertRequest
	// keep is the disk of the safety snapshot, moving says that the revert itself makes it.
	keep   *methods.Ref
	moving bool
	// changed is what the revert has to change, nil for what nobody knows, if that is to be verified.
	changed []methods.Extent
	result  RevertedDisk
}

// Revert puts a snapshot's disks back in place. Until the first disk is touched an error leaves everything as it was;
// from there it only goes forward, and an error is ErrUnfinished.
func (o *Orchestrator) Revert(ctx context.Context, opts RevertOptions) (_ *RevertResult, err error) {
	ctx, op, err := o.begin(ctx, opts.Domain)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	return op.reversion(opts).all(ctx)
}

func (op *operation) reversion(opts RevertOptions) *reversion {
	return &reversion{operation: op, opts: opts, runner: op.runner(), begun: op.Now()}
}

func (r *reversion) all(ctx context.Context) (*RevertResult, error) {
	if err := r.plan(ctx); err != nil {
		return nil, err
	}
	return r.run(ctx)
}

func (op *operation) progress(step string) methods.Progress {
	return func(done, total int64) { op.Watch(Event{Step: step, Current: done, Total: total}) }
}

func (r *reversion) run(ctx context.Context) (*RevertResult, error) {
	if err := r.authorize(ctx); err != nil {
		return nil, err
	}
	if err := r.ready(ctx); err != nil {
		return nil, r.handBack(ctx, err)
	}
	if err := r.writeJournal(ctx, r.intent()); err != nil {
		return nil, r.handBack(ctx, err)
	}
	for _, before := range []func(context.Context) error{r.stillOff, r.takeSafety, r.stageMachine, r.listChanges} {
		if err := before(ctx); err != nil {
			return nil, r.giveUp(ctx, err)
		}
	}
	// The point of no return: from the first revert on, only forward.
	if err := r.revertAll(ctx); err != nil {
		return nil, r.unfinished(err)
	}
	if err := r.verify(ctx); err != nil {
		return nil, r.unfinished(err)
	}
	if err := r.markReverted(ctx); err != nil {
		return nil, r.unfinished(err)
	}
	return r.finish(ctx)
}

// markReverted is durable before anybody can start the domain: what it writes then is never reverted again.
func (r *reversion) markReverted(ctx context.Context) error {
	i := r.intent()
	i.Reverted = true
	return r.writeJournal(ctx, i)
}

// ready powers the domain off and asks every method whether anything stands in its disk's way.
func (r *reversion) ready(ctx context.Context) error {
	if err := r.powerOff(ctx); err != nil {
		return err
	}
	var errs []error
	for _, d := range r.disks {
		disk, err := r.present(ctx, d.req.Disk.Target)
		if err != nil {
			return err
		}
		d.req.Disk = disk
		if d.req.How, err = methods.CheckRevert(ctx, d.method, d.req); err != nil {
			errs = append(errs, fmt.Errorf("check disk %s%s: %w", disk.Target, r.readNow(disk.Target), err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return r.planSafety(ctx)
}

// powerOff is put down before it is done: nobody else would know that the domain was on.
func (r *reversion) powerOff(ctx context.Context) error {
	if r.before == Shutoff {
		return nil
	}
	if err := r.writeJournal(ctx, r.nothingDone()); err != nil {
		return err
	}
	err := r.timed(ctx, "power the domain off", r.domain.PowerOff)
	// Also after an error, and when ctx has ended: what the domain is now decides whether it has to be started again.
	refreshErr := r.refresh(context.WithoutCancel(ctx))
	if refreshErr != nil || errors.Is(err, ErrNoAnswer) {
		// It may go off yet.
		return r.unfinished(errors.Join(err, refreshErr))
	}
	return err
}

// stillOff comes after the journal: from then on nobody can start the domain, but somebody may have before.
func (r *reversion) stillOff(ctx context.Context) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	if r.desc.State != Shutoff {
		return fmt.Errorf("domain %s was started meanwhile", r.desc.Name)
	}
	return nil
}

// handBack gives the domain back as it was, after an error that changed nothing.
func (r *reversion) handBack(ctx context.Context, cause error) error {
	i := r.operation.intent
	switch {
	case i == nil, errors.Is(cause, ErrUnfinished):
		return cause
	case r.before == Shutoff || r.desc.State != Shutoff:
		return errors.Join(cause, r.leaveIn(ctx, Shutoff))
	}
	ctx = context.WithoutCancel(ctx)
	if !i.PowerOff {
		if err := r.writeJournal(ctx, r.nothingDone()); err != nil {
			// What there is of the intent would keep the domain from being started.
			cause = errors.Join(cause, err, r.endJournal(ctx))
		}
	}
	return errors.Join(cause, r.leaveIn(ctx, r.before))
}

// leaveIn is the end of a revert: the domain, which is off, comes into a state, and the journal ends. It ends too where the
// domain cannot be started, which no second attempt would change. Where nobody knows whether it was, the journal stays.
func (r *reversion) leaveIn(ctx context.Context, state State) error {
	var err error
	if state != Shutoff {
		err = r.timed(ctx, "start the domain", func(ctx context.Context) error { return r.domain.Start(ctx, state == Paused) })
	}
	if err != nil && (ctx.Err() != nil || errors.Is(err, ErrNoAnswer)) {
		return r.unfinished(err)
	}
	if endErr := r.endJournal(ctx); endErr != nil {
		return r.unfinished(errors.Join(err, endErr))
	}
	return err
}

// nothingDone is the intent while no disk is touched.
func (r *reversion) nothingDone() journal.Intent {
	i := r.intent()
	i.PowerOff = true
	return i
}

func (r *reversion) intent() journal.Intent {
	i := journal.Intent{
		Verb: journal.Revert, Domain: r.desc.Name, UUID: r.desc.UUID, Started: r.begun,
		Snapshot: r.to.ID, Safety: r.safety, Whole: r.whole(), Back: r.back, Gone: r.gone,
		Before: string(r.before), State: string(r.after), Verify: r.opts.Verify,
	}
	for _, d := range r.disks {
		i.Refs = append(i.Refs, d.req.To)
		i.Disks = append(i.Disks, d.req.Disk)
		i.Hows = append(i.Hows, d.req.How)
		if d.keep != nil {
			i.Kept = append(i.Kept, *d.keep)
		}
		if d.moving {
			i.Moving = append(i.Moving, d.req.Disk.Target)
		}
	}
	return i
}

// giveUp undoes what came before the point of no return.
func (r *reversion) giveUp(ctx context.Context, cause error) error {
	if err := r.undo(ctx); err != nil {
		return r.unfinished(errors.Join(cause, err))
	}
	err := r.handBack(ctx, cause)
	if errors.Is(err, ErrUnfinished) {
		return err
	}
	return &Problem{Kind: ErrFailed, Err: err}
}

// revertAll reverts side by side what does not share a lock.
func (r *reversion) revertAll(ctx context.Context) error {
	steps := make([]step, len(r.disks))
	for i, d := range r.disks {
		steps[i] = step{name: "revert " + d.req.Disk.Target, do: d.revert, noted: true}
		if d.keep != nil {
			steps[i].lock = d.keep.Lock
		}
	}
	return r.together(ctx, append(steps, r.putBack()...))
}

func (d *revertingDisk) revert(ctx context.Context) error {
	start := time.Now()
	done, err := methods.Revert(ctx, d.method, d.req)
	if err != nil {
		return err
	}
	took := time.Since(start)
	_, err = d.method.Stat(ctx, d.req.To)
	if d.moving && err == nil {
		_, err = d.method.Stat(ctx, *d.keep)
	}
	if err != nil {
		return fmt.Errorf("find the snapshot after the revert: %w", err)
	}
	d.result = RevertedDisk{
		Target: d.req.Disk.Target, InPlace: true, How: done.How,
		BytesWritten: done.BytesWritten, TookMS: took.Milliseconds(),
	}
	return nil
}

// finish records where the domain is now and brings it to its state.
func (r *reversion) finish(ctx context.Context) (*RevertResult, error) {
	err := r.recordRevert()
	if err == nil {
		err = r.commit(ctx)
	}
	if err != nil {
		return nil, r.unfinished(err)
	}
	withdrawn, err := r.withdraw(ctx)
	if err != nil {
		return nil, r.unfinished(err)
	}
	if r.due {
		withdrawn = nil
	}
	result := &RevertResult{Domain: r.desc.Name, RevertedTo: r.to.Name, DomainState: r.after, Safety: r.nameOf(r.safety), Withdrawn: withdrawn}
	for _, d := range r.disks {
		result.Disks = append(result.Disks, d.result)
	}
	err = r.leaveIn(ctx, r.after)
	if err == nil || errors.Is(err, ErrUnfinished) {
		return result, err
	}
	return nil, refuse("the disks are reverted: find out why it does not start, and start it", "%w", err)
}

func (r *reversion) recordRevert() error {
	if r.safety != "" && r.byID(r.safety) == nil {
		s, err := r.safetyRecord()
		if err != nil {
			return err
		}
		r.lineage.Snapshots = append(r.lineage.Snapshots, s)
		// Appending may have moved the snapshots.
		r.to = r.byID(r.to.ID)
	}
	if r.whole() {
		targets := targetsOf(r.refs(r.to))
		for _, d := range r.disks {
			targets = append(targets, d.req.Disk.Target)
		}
		r.lineage.Settle(r.to.ID, targets)
		return nil
	}
	for _, d := range r.disks {
		r.lineage.Stray(d.req.Disk.Target, r.to.ID)
	}
	return nil
}
