package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/domsnap/domsnap/quiesce"
)

// still keeps the disks still and takes them.
func (c *creation) still(ctx context.Context) error {
	switch c.desc.State {
	case Shutoff:
		c.report.Level = quiesce.Offline
		return c.takeAll(ctx)
	case Paused:
		if c.opts.Quiesce == quiesce.Require {
			return fmt.Errorf("%w: the domain is paused", quiesce.ErrNotQuiesced)
		}
		c.report.Level = quiesce.Crash
		return c.takeAll(ctx)
	default:
		return c.hold(ctx)
	}
}

// hold opens the window around the takes.
func (c *creation) hold(ctx context.Context) (err error) {
	oneInstant := c.oneInstant()
	alsoPause := !oneInstant && (c.shield == nil && c.readsDisk() || c.uncovered(ctx))
	guardian, err := c.guarded(ctx)
	if err != nil {
		return err
	}
	options := quiesce.Options{
		Policy: c.opts.Quiesce, NoPause: c.opts.NoPause, AlsoPause: alsoPause, OneInstant: oneInstant,
		FreezeTimeout: c.opts.FreezeTimeout, Guardian: guardian,
	}
	defer c.runner.hush()()
	taken := false
	c.report, err = quiesce.Within(ctx, c.domain, options, func(ctx context.Context) error {
		err := c.window(ctx)
		taken = err == nil && ctx.Err() == nil
		return err
	})
	return c.judge(err, taken)
}

// judge accepts a guest that went on by itself where the snapshot need not be better than after pulling the plug. What
// was taken then is all of it, and in time.
func (c *creation) judge(err error, taken bool) error {
	switch {
	case !errors.Is(err, quiesce.ErrHoldLost) || !taken:
		return err
	case c.opts.Quiesce == quiesce.Require:
		return fmt.Errorf("%w: %w", quiesce.ErrNotQuiesced, err)
	default:
		c.report.Notes = append(c.report.Notes, err.Error())
		return nil
	}
}

// oneInstant says that the shield puts all disks onto overlays, and that the machine has nothing besides them: nothing else
// has to be still for them to agree.
func (c *creation) oneInstant() bool {
	return c.shield != nil && !slices.ContainsFunc(c.acts, c.at(inside)) && len(c.renewMachine()) == 0
}

// readsDisk says that a disk has to be wholly still for long, and not just the file systems on it.
func (c *creation) readsDisk() bool {
	return slices.ContainsFunc(c.acts, func(a *act) bool { return a.method.Traits().ReadsDisk })
}

// uncovered says that freezing file systems does not keep all disks still, as far as the agent can tell: a raw volume
// or swap is written to past them.
func (c *creation) uncovered(ctx context.Context) bool {
	if c.opts.Quiesce == quiesce.No {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, quiesce.PingTimeout)
	defer cancel()
	covered, err := c.domain.CoveredDisks(ctx)
	return err == nil && covered < len(c.plan.Disks)
}
