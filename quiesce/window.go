package quiesce

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Within holds the guest, runs act, and lets the guest go. Act's context ends with the hold's limit. The guest
// is let go also when act fails, panics, or ctx ends. The errors are those of act, joined with ErrNotQuiesced
// (act was not run), ErrFrozen (nor was it), ErrHoldLost and ErrNotReleased.
func Within(ctx context.Context, g Guest, o Options, act func(context.Context) error) (Report, error) {
	w := &window{guest: g, opts: o.withDefaults(), report: Report{Level: Crash}}
	answers := w.agentAnswers(ctx)
	if !answers && o.Policy == Require {
		return w.report, fmt.Errorf("%w: the agent does not answer", ErrNotQuiesced)
	}
	if answers && w.foreignFreeze(ctx) {
		return w.report, ErrFrozen
	}
	return w.run(ctx, answers, act)
}

// foreignFreeze says that somebody else's window is open; to thaw would break it. An agent that cannot tell is no
// obstacle.
func (w *window) foreignFreeze(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, PingTimeout)
	defer cancel()
	frozen, err := w.guest.Frozen(ctx)
	return err == nil && frozen
}

// withDefaults also bounds what was asked for: a guest that is held is out of service.
func (o Options) withDefaults() Options {
	o.FreezeTimeout = bound(o.FreezeTimeout, FreezeTimeout, MaxFreezeTimeout)
	o.HoldLimit = bound(o.HoldLimit, HoldLimit, HoldLimit)
	return o
}

// bound is the default for what was not said, and never more than the most.
func bound(d, usual, most time.Duration) time.Duration {
	if d <= 0 {
		return usual
	}
	return min(d, most)
}

type window struct {
	guest  Guest
	opts   Options
	report Report
	// freezeSent and pauseSent are when the call was about to go out; zero when none was.
	freezeSent, pauseSent time.Time
}

func (w *window) agentAnswers(ctx context.Context) bool {
	if w.opts.Policy == No {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, PingTimeout)
	defer cancel()
	if err := w.guest.Ping(ctx); err != nil {
		w.note("the agent does not answer: %v", err)
		return false
	}
	return true
}

func (w *window) run(ctx context.Context, freeze bool, act func(context.Context) error) (rep Report, err error) {
	defer func() {
		err = errors.Join(err, w.release(ctx))
		rep = w.report
	}()
	if err := w.hold(ctx, freeze); err != nil {
		return w.report, err
	}
	return w.report, w.inside(ctx, act)
}

// inside runs act within the hold's limit. An act that does not stop in time no longer holds the guest: it is let go
// first and waited for then.
func (w *window) inside(ctx context.Context, act func(context.Context) error) error {
	over := fmt.Errorf("the limit of %s is over: %w", w.opts.HoldLimit, context.DeadlineExceeded)
	held, cancel := context.WithTimeoutCause(ctx, w.opts.HoldLimit, over)
	defer cancel()
	done := make(chan outcome, 1)
	go func() { done <- attempt(held, act) }()
	select {
	case o := <-done:
		return o.result()
	case <-held.Done():
		released := w.release(ctx)
		return errors.Join(fmt.Errorf("hold the guest: %w", context.Cause(held)), released, (<-done).result())
	}
}

// outcome is how an act ended: with an error, or with a panic that goes on where the guest is let go.
type outcome struct {
	err      error
	panicked any
}

func attempt(ctx context.Context, act func(context.Context) error) (o outcome) {
	defer func() { o.panicked = recover() }()
	return outcome{err: act(ctx)}
}

func (o outcome) result() error {
	if o.panicked != nil {
		panic(o.panicked)
	}
	return o.err
}

func (w *window) hold(ctx context.Context, freeze bool) error {
	if freeze {
		if err := w.freeze(ctx); err != nil {
			return err
		}
	}
	if w.report.Level == Filesystem && !w.opts.AlsoPause {
		return nil
	}
	if w.opts.OneInstant && !w.opts.AlsoPause {
		return nil
	}
	if w.opts.NoPause {
		w.note("the guest was not paused: --no-pause")
		return nil
	}
	return w.pause(ctx)
}

func (w *window) pause(ctx context.Context) error {
	if err := w.opts.Guardian.Holding(HoldPause); err != nil {
		return fmt.Errorf("tell the guardian of the pause: %w", err)
	}
	w.pauseSent = time.Now()
	// A pause that nobody waits for would come after the guest was let go.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.opts.HoldLimit)
	defer cancel()
	if err := w.guest.Pause(bounded); err != nil {
		return fmt.Errorf("pause the guest: %w", err)
	}
	w.report.Held = true
	return ctx.Err()
}

// freeze tries to; where it must not fail that is an error, else the caller pauses.
func (w *window) freeze(ctx context.Context) error {
	if err := w.opts.Guardian.Holding(HoldFreeze); err != nil {
		return fmt.Errorf("tell the guardian of the freeze: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, w.opts.FreezeTimeout)
	defer cancel()
	w.freezeSent = time.Now()
	n, err := w.guest.FreezeFilesystems(bounded)
	if err == nil && n > 0 {
		w.report.Level, w.report.Held, w.report.Frozen = Filesystem, true, n
		return nil
	}
	if err == nil {
		err = errors.New("the agent froze no file system")
	}
	return w.freezeFailed(ctx, bounded, err)
}

// freezeFailed undoes a freeze that may still come: a reply that is late is no proof that the command was.
func (w *window) freezeFailed(ctx, bounded context.Context, cause error) error {
	w.note("freeze: %v", cause)
	if bounded.Err() != nil {
		if err := w.opts.Guardian.Watch(); err != nil {
			w.note("the guardian does not watch for a late freeze: %v", err)
		}
	}
	if w.opts.Policy == Require || ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrNotQuiesced, cause)
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), ReleaseTimeout)
	defer cancel()
	if err := w.thaw(limited); err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrNotQuiesced, cause), err)
	}
	return nil
}

func (w *window) note(format string, args ...any) {
	w.report.Notes = append(w.report.Notes, fmt.Sprintf(format, args...))
}
