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
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNotReleased, err)
		case <-time.After(retryEvery):
		}
	}
}
