package orchestrator

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/orchestrator/request"
)

// NoticeEnd is what is asked for at the domain's shutdown, for who was told that it has ended; nil for nothing. Where its
// guest goes on, that is remembered for when libvirt does not know any more.
func (o *Orchestrator) NoticeEnd(ctx context.Context, domain string) (*AtShutdown, error) {
	op, err := o.look(ctx, domain)
	if err != nil {
		return nil, err
	}
	if err := op.findAsked(); err != nil || op.asked == nil {
		return nil, err
	}
	v := op.viewAsked()
	if v.Due {
		return v, nil
	}
	return v, o.noteEnding(ctx, op)
}

// due says that what is asked for can be done: the domain is off, and its guest does not go on.
func (op *operation) due() bool {
	return op.asked != nil && op.desc.State == Shutoff && !op.desc.Saved && !op.isAway()
}

// isAway: where libvirt does not know any more how the domain came to be off, it is as it was last seen.
func (op *operation) isAway() bool {
	return op.desc.Ending == EndAway || op.desc.Ending == EndUnknown && op.asked.Away
}

// revertDue does what is asked for at the shutdown, if it is due. What did not work stays, with the reason.
func (o *Orchestrator) revertDue(ctx context.Context, domain string) (_ *Recovered, err error) {
	op, err := o.look(ctx, domain)
	if err != nil {
		return nil, err
	}
	if op.asked == nil {
		return nil, op.findAsked()
	}
	// Of what is unfinished recover has said why it could not go on.
	if intent, err := o.pending(op.desc.UUID); err != nil || intent != nil {
		return nil, nil
	}
	if !op.due() {
		return nil, o.noteEnding(ctx, op)
	}
	if ctx, op, err = o.begin(ctx, domain); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	// Somebody may have done it meanwhile.
	if err := op.findAsked(); err != nil || !op.due() {
		return nil, err
	}
	asked := *op.asked
	r := op.reversion(dueOptions(asked))
	r.due = true
	result, err := r.all(ctx)
	if err != nil && op.startedMeanwhile(ctx, err) {
		return nil, nil
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("revert to %s, as was asked for at the shutdown: %w", asked.Name, err), op.noteFailure(asked, err))
	}
	return &Recovered{Domain: result.Domain, Did: []string{"reverted to " + result.RevertedTo + ", as was asked for at the shutdown"}}, nil
}

func dueOptions(asked request.Revert) RevertOptions {
	opts := RevertOptions{
		Domain: asked.UUID, Snapshot: asked.Snapshot, Disks: asked.Disks,
		After: State(asked.After), NoSafety: asked.NoSafety, Verify: asked.Verify,
	}
	for _, m := range asked.Map {
		opts.Map = append(opts.Map, Mapping(m))
	}
	return opts
}

// startedMeanwhile says that somebody was quicker to start the domain, and that nothing was changed: what is asked for waits
// for the next shutdown.
func (op *operation) startedMeanwhile(ctx context.Context, cause error) bool {
	return !errors.Is(cause, ErrUnfinished) && op.refresh(context.WithoutCancel(ctx)) == nil && op.desc.State != Shutoff
}

// noteFailure keeps the reason, unless the revert itself got so far that nothing is asked for any more: the disks are
// reverted then, and the domain did not start.
func (op *operation) noteFailure(asked request.Revert, cause error) error {
	if now, err := op.requests.Get(op.desc.UUID); now == nil {
		return err
	}
	asked.Failed, asked.Tried = cause.Error(), op.Now().UTC()
	return op.requests.Put(asked)
}

// noteEnding remembers how a domain went off for when libvirt does not know any more.
func (o *Orchestrator) noteEnding(ctx context.Context, seen *operation) (err error) {
	if away := seen.desc.Ending == EndAway; seen.desc.Ending == EndUnknown || away == seen.asked.Away {
		return nil
	}
	_, op, err := o.begin(ctx, seen.desc.UUID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	if err := op.findAsked(); err != nil || op.asked == nil || op.desc.Ending == EndUnknown {
		return err
	}
	op.asked.Away = op.desc.Ending == EndAway
	return op.requests.Put(*op.asked)
}

// revertAllDue is revertDue for one domain, or for all when the name is empty. It leaves alone who is at work.
func (o *Orchestrator) revertAllDue(ctx context.Context, domain string) ([]Recovered, error) {
	names, err := o.toRevert(domain)
	if err != nil {
		return nil, err
	}
	var list []Recovered
	var errs []error
	for _, name := range names {
		did, err := o.revertDue(ctx, name)
		if err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrNotFound) {
			errs = append(errs, fmt.Errorf("recover %s: %w", name, err))
		}
		if did != nil {
			list = append(list, *did)
		}
	}
	return list, errors.Join(errs...)
}

// toRevert is the domain, or all that have asked when the name is empty.
func (o *Orchestrator) toRevert(domain string) ([]string, error) {
	if domain == "" {
		return o.requests.Domains()
	}
	return []string{domain}, nil
}

// planAllDue leaves what cannot be looked at to those who say so.
func (o *Orchestrator) planAllDue(ctx context.Context, domain string) ([]PlannedStep, error) {
	names, err := o.toRevert(domain)
	if err != nil {
		return nil, err
	}
	var steps []PlannedStep
	for _, name := range names {
		if op, err := o.look(ctx, name); err == nil && op.due() {
			what := fmt.Sprintf("%s: revert to %s, as was asked for at the shutdown", op.desc.Name, op.called(op.asked.Snapshot))
			steps = append(steps, PlannedStep{Step: what})
		}
	}
	return steps, nil
}

// findWaiting finds a revert that nobody has done though the domain is off, or that did not work.
func (i *inspection) findWaiting() {
	if err := i.findAsked(); err != nil {
		i.add(Finding{Kind: FoundUnreadable, What: err.Error(), Fix: hintOf(err)})
		return
	}
	if i.asked == nil || !i.due() && i.asked.Failed == "" {
		return
	}
	name := i.called(i.asked.Snapshot)
	f := Finding{Kind: FoundWaiting, Snapshot: name, Fix: "domsnap recover " + i.desc.Name + "; or take it back: " + i.cancelAsked()}
	f.What = "the revert to " + name + " that was asked for at the shutdown was not done, and the domain is off"
	if i.asked.Failed != "" {
		f.What = fmt.Sprintf("the revert to %s that was asked for at the shutdown did not work: %s", name, i.asked.Failed)
	}
	i.add(f)
}
