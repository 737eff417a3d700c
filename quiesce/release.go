package quiesce

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// retryEvery is the pause between two tries to let a guest go.
const retryEvery = 200 * time.Millisecond

// release lets the guest go and makes sure of it, on a context that outlives the caller's. A paused guest is
// resumed first: its agent cannot thaw.
func (w *window) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ReleaseTimeout)
	defer cancel()
	frozen := w.report.Level == Filesystem
	err := errors.Join(w.resume(ctx), w.thaw(ctx))
	if err != nil {
		return err
	}
	if err := w.opts.Guardian.Released(); err != nil {
		w.note("dismiss the guardian: %v", err)
	}
	if frozen && w.report.Thawed < w.report.Frozen {
		w.report.Level = Crash
		return fmt.Errorf("%w: %d file systems were frozen, %d still were at the end",
			ErrHoldLost, w.report.Frozen, w.report.Thawed)
	}
	return nil
}

func (w *window) resume(ctx context.Context) error {
	if w.pauseSent.IsZero() {
		return nil
	}
	err := insist(ctx, w.guest.Resume)
	if err == nil {
		w.report.PausedFor = time.Since(w.pauseSent)
		w.pauseSent = time.Time{}
	}
	return err
}

func (w *window) thaw(ctx context.Context) error {
	if w.freezeSent.IsZero() {
		return nil
	}
	err := insist(ctx, func(ctx context.Context) error { return thawAll(ctx, w.guest, &w.report.Thawed) })
	if err == nil {
		w.report.FrozenFor = time.Since(w.freezeSent)
		w.freezeSent = time.Time{}
	}
	return err
}

// thawAll is done when the agent has thawed something, or else says that nothing is frozen: its status alone can
// be wrong, its counts are not.
func thawAll(ctx context.Context, g Guest, count *int) error {
	n, err := g.ThawFilesystems(ctx)
	if err != nil {
		return err
	}
	*count += n
	if n > 0 {
		return nil
	}
	frozen, err := g.Frozen(ctx)
	if err == nil && frozen {
		err = errors.New("the agent still says frozen")
	}
	return err
}

// insist repeats do until it succeeds or ctx ends, which is ErrNotReleased. One try takes at most a few seconds, so
// that an agent that comes back is found.
func insist(ctx context.Context, do func(context.Context) error) error {
	for {
		bounded, cancel := context.WithTimeout(ctx, PingTimeout)
		err := do(bounded)
		cancel()
		if err == nil || errors.Is(err, ErrGone) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNotReleased, err)
		case <-time.After(retryEvery):
		}
	}
}

// release lets a guest go once: it resumes and thaws what it was held by.
func release(ctx context.Context, g Guest, holds map[Hold]bool) error {
	if holds[HoldPause] {
		if err := g.Resume(ctx); err != nil {
			return err
		}
	}
	if !holds[HoldFreeze] {
		return nil
	}
	return thawAll(ctx, g, new(int))
}

// LetGo lets a guest go that a process held which is gone, guardian and all. Paused says that it is paused and was not
// before. A guest whose agent does not answer is not thawed: nothing tells whether it is frozen.
func LetGo(ctx context.Context, g Guest, paused bool) error {
	holds := map[Hold]bool{HoldPause: paused}
	if err := insist(ctx, func(ctx context.Context) error { return release(ctx, g, holds) }); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, PingTimeout)
	defer cancel()
	if g.Ping(bounded) != nil {
		return nil
	}
	return insist(ctx, func(ctx context.Context) error { return thawAll(ctx, g, new(int)) })
}
