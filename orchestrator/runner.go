package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/orchestrator/journal"
)

// Event is one step, told when it begins (Took and Err are zero) and when it ended.
type Event struct {
	Step string
	Done bool
	Took time.Duration
	Err  error
	// Current and Total are the progress of a long step, in bytes.
	Current, Total int64
}

// step is one act of a verb.
type step struct {
	name string
	do   func(context.Context) error
	// undo takes it back, also when do failed half-way; nil when nothing has to be.
	undo func(context.Context) error
	// lock: steps with the same lock never run side by side.
	lock string
	// noted: what it does cannot be undone, so that the journal has when it begins and when it is done.
	noted bool
}

// undoTimeout bounds the taking back of one step.
const undoTimeout = 2 * time.Minute

// runner runs steps and knows how to take them back.
type runner struct {
	watch func(Event)
	// note puts down a step in the journal; nil where no step is noted.
	note  func(journal.Note) error
	mu    sync.Mutex
	begun []step
}

// run runs steps one after the other and stops at the first error.
func (r *runner) run(ctx context.Context, steps ...step) error {
	for _, s := range steps {
		if err := r.one(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// together runs steps side by side, those of one lock in their order, and waits for all of them.
func (r *runner) together(ctx context.Context, steps []step) error {
	lanes, order := map[string][]step{}, []string{}
	for i, s := range steps {
		key := s.lock
		if key == "" {
			key = fmt.Sprint("#", i)
		}
		if lanes[key] == nil {
			order = append(order, key)
		}
		lanes[key] = append(lanes[key], s)
	}
	errs := make([]error, len(order))
	var wait sync.WaitGroup
	for i, key := range order {
		wait.Go(func() { errs[i] = r.run(ctx, lanes[key]...) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// hush keeps what there is to tell until the function that it returns is called: whoever listens, on a slow terminal
// perhaps, must not hold up what is done meanwhile.
func (r *runner) hush() (tell func()) {
	listener, kept := r.watch, []Event(nil)
	r.watch = func(e Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		kept = append(kept, e)
	}
	return func() {
		r.watch = listener
		for _, e := range kept {
			listener(e)
		}
	}
}

func (r *runner) one(ctx context.Context, s step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	r.begun = append(r.begun, s)
	r.mu.Unlock()
	if s.noted {
		return r.noted(ctx, s)
	}
	return r.timed(ctx, s.name, s.do)
}

// noted does nothing that is not put down before.
func (r *runner) noted(ctx context.Context, s step) error {
	if err := r.putDown(journal.Note{Act: s.name}); err != nil {
		return err
	}
	if err := r.timed(ctx, s.name, s.do); err != nil {
		return err
	}
	return r.putDown(journal.Note{Act: s.name, Done: true})
}

// putDown lets one step after the other write.
func (r *runner) putDown(n journal.Note) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.note(n)
}

func (r *runner) timed(ctx context.Context, name string, do func(context.Context) error) error {
	r.watch(Event{Step: name})
	start := time.Now()
	err := trace.Do(ctx, name, func() error { return do(ctx) })
	r.watch(Event{Step: name, Done: true, Took: time.Since(start), Err: err})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// undo takes back, in reverse, everything that was begun. It goes on after an error, and also when ctx has ended, but not
// with a hypervisor that does not answer: each step would wait for it.
func (r *runner) undo(ctx context.Context) error {
	var errs []error
	for i := len(r.begun) - 1; i >= 0; i-- {
		s := r.begun[i]
		if s.undo == nil {
			continue
		}
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
		err := r.timed(bounded, "undo "+s.name, s.undo)
		cancel()
		errs = append(errs, err)
		if errors.Is(err, ErrNoAnswer) {
			break
		}
	}
	r.begun = nil
	return errors.Join(errs...)
}
