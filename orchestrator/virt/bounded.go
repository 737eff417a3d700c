package virt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/orchestrator"
)

// A call of libvirt is a call in C, which nothing can end. One that is given up goes on in a goroutine of its own, with
// the connection that it uses, and what it answers in the end is dropped.
const (
	// answerLimit is how long a question may take: three times what libvirt itself waits for a domain's job.
	answerLimit = 90 * time.Second
	// actLimit is how long an act may take: more than the start of the largest guest.
	actLimit = 10 * time.Minute
	// lateLimit is how long an act is waited for that must not come unseen, when nobody wants it any more.
	lateLimit = time.Minute
	// closeLimit is how long libvirt may take to say goodbye.
	closeLimit = time.Second
	// silence is how long a call may take before it is said that there was no answer.
	silence = 2 * time.Second
)

// hint is what to do about a libvirt that stands still.
const hint = "see whether libvirt's daemon answers (virsh list) and what holds the domain (virsh domjobinfo); to start the daemon anew " +
	"stops no guest: systemctl restart virtqemud, or libvirtd"

// bounded asks libvirt something, and stops waiting when ctx ends or no answer comes.
func bounded[T any](ctx context.Context, call func() (T, error)) (T, error) {
	return within(ctx, answerLimit, call)
}

// boundedDo is bounded for calls that only fail or not.
func boundedDo(ctx context.Context, call func() error) error { return doWithin(ctx, answerLimit, call) }

func doWithin(ctx context.Context, limit time.Duration, call func() error) error {
	_, err := within(ctx, limit, nothing(call))
	return err
}

func nothing(call func() error) func() (struct{}, error) {
	return func() (struct{}, error) { return struct{}{}, call() }
}

// within is bounded with another limit. What was given up may still come.
func within[T any](ctx context.Context, limit time.Duration, call func() (T, error)) (T, error) {
	begun := time.Now()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := await(limited, call)
	return answer, explained(err, time.Since(begun))
}

// explained says what to do about an error that comes from libvirt's silence. A call that was given up at once says
// nothing about libvirt.
func explained(err error, waited time.Duration) error {
	var late *givenUp
	switch {
	case errors.As(err, &late) && waited >= silence:
		return noAnswer(orchestrator.ErrNoAnswer, "libvirt has not answered for %s: %w", waited.Round(time.Second), err)
	case isCode(err, libvirt.ERR_OPERATION_TIMEOUT):
		return noAnswer(orchestrator.ErrNoAnswer, "%w", err)
	default:
		return err
	}
}

// seenThrough does what must not come unseen, and so waits for it also when ctx ends meanwhile, though not for ever. Of
// what is given up nobody knows whether it still comes: that is ErrUnfinished, and nothing may be undone.
func seenThrough(ctx context.Context, act func() error) error {
	wanted, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	waiting, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(wanted, func() { time.AfterFunc(lateLimit, end) })()
	_, err := await(waiting, nothing(act))
	var late *givenUp
	if errors.As(err, &late) {
		return noAnswer(orchestrator.ErrUnfinished, "libvirt does not answer, and what it was asked for may still come: %w", wanted.Err())
	}
	return err
}

func noAnswer(kind error, format string, args ...any) error {
	return &orchestrator.Problem{Kind: kind, Err: fmt.Errorf(format, args...), Hint: hint}
}

// givenUp: the call had not returned when the context ended.
type givenUp struct{ cause error }

func (g *givenUp) Error() string { return g.cause.Error() }

func (g *givenUp) Unwrap() error { return g.cause }

// await runs a call and waits for it until ctx ends.
func await[T any](ctx context.Context, call func() (T, error)) (none T, _ error) {
	if err := ctx.Err(); err != nil {
		return none, err
	}
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		v, err := call()
		done <- answer{v, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		return none, &givenUp{ctx.Err()}
	}
}
