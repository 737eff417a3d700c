package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/orchestrator/base"
	"github.com/domsnap/domsnap/orchestrator/hold"
	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/orchestrator/request"
	"github.com/domsnap/domsnap/xmlspec"
)

// operation is one verb at work on one domain.
type operation struct {
	*Orchestrator
	domain  Domain
	desc    *Description
	lineage *xmlspec.Lineage
	// text is what the lineage was read from; empty once it may be another.
	text string
	// intent is the unfinished work, as it is done or shown; nil for none.
	intent *journal.Intent
	// held are the snapshots that somebody reads.
	held []hold.Note
	// increments are those of replicas to come.
	increments []base.Base
	// asked is the revert at the next shutdown; nil for none.
	asked *request.Revert
	// lockFile is the domain's lock; nil for verbs that only look.
	lockFile *os.File
	// guardian is nil until one is started.
	guardian *guardian
}

// look opens a domain for reading.
func (o *Orchestrator) look(ctx context.Context, name string) (*operation, error) {
	domain, err := o.Hypervisor.Domain(ctx, name)
	if err != nil {
		return nil, err
	}
	op := &operation{Orchestrator: o, domain: domain}
	return op, op.see(ctx)
}

// see looks at all that is known of the domain.
func (op *operation) see(ctx context.Context) error {
	if err := op.refresh(ctx); err != nil {
		return err
	}
	// Who cannot look there is shown no holds; who would be in a reader's way looks again.
	op.held, _ = op.holds.Living(op.desc.UUID)
	_ = op.findBases()
	_ = op.findAsked()
	return nil
}

// begin opens a domain for a change: its lock is held until end, no other work is pending, and the lineage is the latest.
func (o *Orchestrator) begin(ctx context.Context, name string) (context.Context, *operation, error) {
	ctx, op, err := o.take(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	if _, err := o.journal.Pending(op.desc.UUID); !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, errors.Join(op.unfinished(err), op.end())
	}
	if err := op.checkLatest(); err != nil {
		return nil, nil, errors.Join(err, op.end())
	}
	// What killed readers left is in nobody's way.
	_ = o.holds.Sweep(op.desc.UUID)
	return ctx, op, nil
}

// take opens a domain and holds its lock, and the programs that are run with its context until end hold it too. What could
// be read before that may be what another operation is about to change.
func (o *Orchestrator) take(ctx context.Context, name string) (context.Context, *operation, error) {
	domain, err := o.Hypervisor.Domain(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	op := &operation{Orchestrator: o, domain: domain}
	if op.lockFile, err = o.lock(ctx, domain.UUID()); err != nil {
		return nil, nil, err
	}
	if err := op.see(ctx); err != nil {
		return nil, nil, errors.Join(err, op.end())
	}
	return command.WithLock(ctx, op.lockFile), op, nil
}

// runner makes a runner for the operation's steps.
func (op *operation) runner() *runner {
	return &runner{watch: op.Watch, note: func(n journal.Note) error { return op.journal.Note(op.desc.UUID, n) }}
}

func (op *operation) end() error {
	return errors.Join(op.guardian.dismiss(), op.lockFile.Close())
}

// refresh reads the domain and its lineage as they are now. What of the lineage was changed and not committed is gone, but
// where nobody has written to it since: who changes it commits it, or gives up.
func (op *operation) refresh(ctx context.Context) error {
	desc, err := op.domain.Describe(ctx)
	if err != nil {
		return err
	}
	text, err := op.domain.Metadata(ctx)
	if err != nil {
		return err
	}
	op.desc = desc
	if text != "" && text == op.text {
		return nil
	}
	l, err := xmlspec.ParseLineage(text)
	if err != nil {
		return err
	}
	op.lineage, op.text = l, text
	return nil
}

// writeJournal makes the intent durable, before the first act.
func (op *operation) writeJournal(ctx context.Context, i journal.Intent) error {
	op.intent = &i
	return trace.Do(ctx, "write the journal", func() error { return op.journal.Begin(i) })
}

// endJournal says that nothing is unfinished any more. What was kept of the machine goes with snapshots that are not there.
func (op *operation) endJournal(ctx context.Context) error {
	if i := op.intent; i != nil {
		mine := []string{i.Snapshot, i.Safety}
		if i.Verb == journal.Revert {
			mine = mine[1:]
		}
		if err := op.forgetMachines(mine...); err != nil {
			return err
		}
	}
	op.intent = nil
	return trace.Do(ctx, "end the journal", func() error { return op.journal.End(op.desc.UUID) })
}

// checkNotSaved: memory that goes on later believes that the disks are as they were, and its guest has not written
// everything to them.
func (op *operation) checkNotSaved() error {
	if !op.desc.Saved {
		return nil
	}
	name := op.desc.Name
	return refuse("start it and shut it down, or give up its memory: virsh managedsave-remove "+name,
		"domain %s is off with its memory saved (virsh managedsave)", name)
}

// unfinished is the error of a verb that leaves, or meets, work for recover.
func (op *operation) unfinished(cause error) error {
	if cause == nil {
		cause = ErrUnfinished
	}
	return &Problem{Kind: ErrUnfinished, Err: cause, Hint: "run: domsnap recover " + op.desc.Name}
}

// commitTimeout is how long the lineage may take to be written.
const commitTimeout = time.Minute

// commit writes the lineage: what it says from now on is so. The copy and the mirror come after it, and when those cannot be
// written it changes nothing: Check finds out.
func (op *operation) commit(ctx context.Context) error {
	op.lineage.Rev++
	op.text = ""
	text, err := op.writeLineage(ctx)
	if err != nil {
		return err
	}
	_ = op.shelve(context.WithoutCancel(ctx), text)
	if op.lineage.Mirror {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
		defer cancel()
		_, _ = op.reflect(ctx)
	}
	return nil
}

// writeLineage gives what it has written. It is not given up when ctx ends: whether it took place would not be known.
func (op *operation) writeLineage(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	text, err := op.lineage.Marshal()
	if err != nil {
		return "", err
	}
	return text, op.domain.SetMetadata(ctx, text)
}

// authorize writes the lineage as it is, before anything is done that goes only forward: who may not, finds out when
// everything is still as it was.
func (op *operation) authorize(ctx context.Context) error {
	if _, err := op.writeLineage(ctx); err != nil {
		return fmt.Errorf("make sure that the lineage can be written: %w", err)
	}
	return nil
}

func (op *operation) identity() methods.Domain {
	return methods.Domain{Name: op.desc.Name, UUID: op.desc.UUID, Active: op.desc.Active()}
}
