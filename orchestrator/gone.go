package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/xmlspec"
)

// errGone: there is no domain of this name or UUID.
type errGone struct{ cause error }

func (e *errGone) Error() string { return e.cause.Error() }

func (e *errGone) Unwrap() error { return e.cause }

// orGone makes errGone of an error that says that there is no such domain, and, where the domain has left something
// unfinished, ErrUnfinished.
func (o *Orchestrator) orGone(name string, err error) error {
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	gone := &errGone{cause: err}
	intent, err := o.leftBy(name)
	if err != nil || intent == nil {
		return errors.Join(err, gone)
	}
	return &Problem{Kind: ErrUnfinished, Err: fmt.Errorf("%s was begun: %w", inFlight(intent), gone),
		Hint: "if the domain was undefined, and is not at another --connect: domsnap recover " + intent.UUID}
}

// leftBy finds what a domain that is gone has left unfinished, by its UUID or the name that it had; nil for nothing.
func (o *Orchestrator) leftBy(name string) (*journal.Intent, error) {
	uuids, err := o.journal.Domains()
	if err != nil {
		return nil, err
	}
	for _, uuid := range uuids {
		intent, err := o.pending(uuid)
		if uuid == name || err == nil && intent != nil && intent.Domain == name {
			return intent, err
		}
	}
	return nil, nil
}

// inFlight says what an intent is about.
func inFlight(i *journal.Intent) string {
	disks := make([]string, len(i.Refs))
	for n, ref := range i.Refs {
		disks[n] = fmt.Sprintf("%s by %s (%s)", ref.Disk.Target, ref.Method, ref.Name)
	}
	return fmt.Sprintf("the %s of a snapshot of domain %s, disks %s,", i.Verb, i.Domain, strings.Join(disks, ", "))
}

// recoverNamed goes further than recoverOne: of all domains, those that only another hypervisor has would seem gone too.
func (o *Orchestrator) recoverNamed(ctx context.Context, name string) (*Recovered, error) {
	did, err := o.recoverOne(ctx, name)
	var gone *errGone
	if !errors.As(err, &gone) {
		return did, err
	}
	intent, findErr := o.leftBy(name)
	if findErr != nil || intent == nil {
		return nil, err
	}
	return o.recoverGone(ctx, intent.UUID, gone)
}

// recoverGone undoes a create as for a domain that is off. A revert and a delete change disks and the lineage, which are
// gone with the domain; a revert that has changed nothing is over.
func (o *Orchestrator) recoverGone(ctx context.Context, uuid string, gone error) (_ *Recovered, err error) {
	op := &operation{Orchestrator: o, lineage: &xmlspec.Lineage{}}
	if op.lockFile, err = o.lock(ctx, uuid); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	intent, err := o.pending(uuid)
	if err != nil || intent == nil {
		return nil, err
	}
	op.desc = &Description{Domain: xmlspec.Domain{Name: intent.Domain, UUID: uuid}, State: Shutoff}
	op.intent = intent
	if intent.PowerOff {
		return &Recovered{Domain: intent.Domain, Did: []string{"nothing was reverted"}}, op.endJournal(ctx)
	}
	if intent.Verb != journal.Create {
		return nil, op.abandoned(intent, gone)
	}
	if len(intent.Shield) > 0 {
		return nil, op.abandoned(intent, fmt.Errorf("%w; what the guest has written may be in %s", gone, intent.Shield[0].File))
	}
	did, err := op.undoCreate(ctx, intent)
	if err != nil {
		return nil, op.abandoned(intent, err)
	}
	return &Recovered{Domain: intent.Domain, Did: did}, op.endJournal(ctx)
}

func (op *operation) abandoned(i *journal.Intent, cause error) error {
	return &Problem{Kind: ErrUnfinished, Err: fmt.Errorf("%s was begun: %w", inFlight(i), cause),
		Hint: "define the domain again and recover it; or look at its disks, finish by hand, and remove " + op.journal.Path(i.UUID)}
}
