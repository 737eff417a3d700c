package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/orchestrator/shield"
	"github.com/domsnap/domsnap/quiesce"
)

// lowerTimeout bounds the taking away of overlays where a creation is undone: as much as was written meanwhile has to be
// moved.
const lowerTimeout = 30 * time.Minute

// shielding is the shield of a creation.
type shielding struct {
	*shield.Shield
	// raisedAt is when disks may have come onto overlays; zero before.
	raisedAt time.Time
}

// shieldOf is the shield of the overlays; nil for none.
func (op *operation) shieldOf(overlays []shield.Overlay) *shield.Shield {
	if len(overlays) == 0 {
		return nil
	}
	return &shield.Shield{Domain: op.domain.Shielded(), Files: op.shieldFolder(), Overlays: overlays}
}

// readyShield makes the overlays. Where QEMU cannot use them the guest is held instead, unless the shield was asked for.
func (c *creation) readyShield(ctx context.Context) error {
	s := c.shieldOf(c.plan.overlays)
	if s == nil {
		return nil
	}
	c.shield = &shielding{Shield: s}
	err := c.timed(ctx, "make the overlays of the shield", s.Ready)
	if err == nil || c.opts.Way == Shield || !errors.Is(err, methods.ErrBlocked) {
		return err
	}
	c.notes = append(c.notes, fmt.Sprintf("no shield: %v", err))
	if err := c.lower(ctx, nil); err != nil {
		return err
	}
	hold := string(Hold)
	c.plan.Hold.HeldBy, c.plan.overlays, c.shield = &hold, nil, nil
	if err := c.writeJournal(ctx, c.intent()); err != nil {
		return err
	}
	return c.prepareAgain(ctx)
}

// prepareAgain: what was made ready counted on disks that are still.
func (c *creation) prepareAgain(ctx context.Context) error {
	c.abandon(ctx)
	for _, a := range c.acts {
		if err := c.dropAll(ctx, a); err != nil {
			return err
		}
	}
	c.acts = nil
	return c.prepare(ctx)
}

// window is what is done while the guest is held: everything, or, with a shield, what makes an end to the holding.
func (c *creation) window(ctx context.Context) error {
	if c.shield == nil {
		return c.takeAll(ctx)
	}
	if err := c.together(ctx, c.renewMachine()); err != nil {
		return err
	}
	c.shield.raisedAt = time.Now()
	if err := c.timed(ctx, "put the disks onto the overlays of the shield", c.shield.Raise); err != nil {
		return err
	}
	return c.runner.run(ctx, c.takes(c.at(inside))...)
}

// behind is what is done behind the shield, while the guest goes on.
func (c *creation) behind(ctx context.Context) error {
	if c.shield == nil {
		return nil
	}
	limit := c.opts.ShieldTimeout
	if limit == 0 {
		limit = DefaultShieldTimeout
	}
	over := fmt.Errorf("the limit of %s behind the shield is over: %w", limit, context.DeadlineExceeded)
	ctx, end := context.WithTimeoutCause(ctx, limit, over)
	defer end()
	watched, stop := c.shieldFolder().Watch(ctx, needed(c.shield.Overlays))
	defer stop()
	err := c.together(watched, c.takes(c.at(behind)))
	if cause := context.Cause(watched); err != nil && cause != nil {
		err = errors.Join(cause, err)
	}
	return err
}

// handOver is what is left of the takes of disks that stay on their overlays: libvirt has to be told.
func (c *creation) handOver(ctx context.Context) error {
	defer c.runner.hush()()
	return c.runner.run(ctx, c.takes(c.at(atTheEnd))...)
}

func (c *creation) at(when turn) func(*act) bool {
	return func(a *act) bool { return c.plan.turnOf(a) == when }
}

// lower takes the shield away. Everything is as without it when it returns, but for what handOver does, if there is one.
func (c *creation) lower(ctx context.Context, handOver func(context.Context) error) error {
	if c.shield == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lowerTimeout)
	defer cancel()
	began := time.Now()
	err := c.timed(ctx, "commit the overlays of the shield", func(ctx context.Context) error {
		return c.lowerShield(ctx, c.shield.Shield, lowering{&c.report.PausedFor, handOver})
	})
	if err != nil {
		return err
	}
	if !c.shield.raisedAt.IsZero() {
		c.shieldedFor, c.commitFor = time.Since(c.shield.raisedAt), time.Since(began)
	}
	c.shield = nil
	return nil
}

// lowering is how a shield is taken away.
type lowering struct {
	// paused gets what the guest stood still for it.
	paused   *time.Duration
	handOver func(context.Context) error
}

func (op *operation) lowerShield(ctx context.Context, s *shield.Shield, l lowering) error {
	if err := op.refresh(ctx); err != nil {
		return err
	}
	return s.Lower(ctx, shield.LowerOptions{
		Active: op.desc.Active(), HandOver: l.handOver, Progress: op.progress("commit the overlays of the shield"),
		Pause: func(ctx context.Context, act func(context.Context) error) error {
			return op.pauseFor(ctx, &standing{Domain: op.domain, align: s.Align, paused: l.paused}, act)
		},
	})
}

// standing is a guest that stands still while the shield is taken away.
type standing struct {
	Domain
	align  func(context.Context) error
	paused *time.Duration
	// aligned: the definition says what the disks are on.
	aligned atomic.Bool
}

// Resume implements quiesce.Guest: it does not go on with a definition that is not true.
func (g *standing) Resume(ctx context.Context) error {
	if !g.aligned.Load() {
		if err := g.align(ctx); err != nil {
			return g.orGone(ctx, err)
		}
	}
	return g.Domain.Resume(ctx)
}

// orGone: a guest that does not run any more need not go on.
func (g *standing) orGone(ctx context.Context, err error) error {
	desc, describeErr := g.Describe(ctx)
	if describeErr == nil && !desc.Active() {
		return fmt.Errorf("%w: %w", quiesce.ErrGone, err)
	}
	return err
}

// pauseFor pauses a guest that runs, with a guardian that knows what has to be done before it goes on. So does one go on
// that QEMU has stopped, since its overlays had no room: it ran when it came onto them.
func (op *operation) pauseFor(ctx context.Context, g *standing, act func(context.Context) error) (err error) {
	if err := op.refresh(ctx); err != nil {
		return err
	}
	if op.desc.State == Paused && !op.desc.Stopped {
		return op.whilePaused(ctx, g, act)
	}
	guardian, err := op.guarded(ctx)
	if err != nil {
		return err
	}
	report, err := quiesce.Within(ctx, g, quiesce.Options{Policy: quiesce.No, Guardian: guardian}, func(ctx context.Context) error {
		err := act(ctx)
		g.aligned.Store(err == nil || errors.Is(err, shield.ErrNotReady))
		return err
	})
	*g.paused += report.PausedFor
	return err
}

// whilePaused is for a guest that somebody else has paused, and who lets it go on when he likes. The pause that is sent is
// for one who just has.
func (op *operation) whilePaused(ctx context.Context, g *standing, act func(context.Context) error) error {
	if err := g.Pause(ctx); err != nil {
		return err
	}
	err := act(ctx)
	if err == nil || errors.Is(err, shield.ErrNotReady) {
		return err
	}
	return errors.Join(err, g.align(context.WithoutCancel(ctx)))
}

// AlignShield has the definition of a domain that stands still say what its disks are on, before it goes on. It does
// nothing for a domain that has no shield.
func (o *Orchestrator) AlignShield(ctx context.Context, name string) error {
	op, err := o.look(ctx, name)
	if err != nil {
		return err
	}
	intent, err := o.journal.Pending(op.desc.UUID)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return op.alignShield(ctx, intent)
}

func (op *operation) alignShield(ctx context.Context, i *journal.Intent) error {
	s := op.shieldOf(i.Shield)
	if s == nil || op.desc.State != Paused {
		return nil
	}
	return s.Align(ctx)
}

// checkNotSavedOn: memory that was saved after a start from overlays wants them to be there.
func (op *operation) checkNotSavedOn(ctx context.Context, s *shield.Shield) error {
	if !op.desc.Saved {
		return nil
	}
	defined, err := s.Domain.DefinedOn(ctx, s.Overlays)
	if err != nil || len(defined) == 0 {
		return err
	}
	return op.checkNotSaved()
}

// lowerLeft takes away what a verb has left of its shield.
func (op *operation) lowerLeft(ctx context.Context, i *journal.Intent) error {
	s := op.shieldOf(i.Shield)
	if s == nil {
		return nil
	}
	if err := op.checkNotSavedOn(ctx, s); err != nil {
		return fmt.Errorf("take the shield away: %w", err)
	}
	if err := op.lowerShield(ctx, s, lowering{paused: new(time.Duration)}); err != nil {
		return fmt.Errorf("take the shield away: %w", err)
	}
	return op.refresh(ctx)
}
