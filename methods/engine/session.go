package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/trace"
)

// session is one process for one operation.
type session struct {
	name   string
	limits Limits
	proc   *process

	// mu lets one request after the other through.
	mu     sync.Mutex
	lastID int64
	// dead is why there is no process any more.
	dead error
}

// call is one request.
type call struct {
	verb     string
	params   any
	wait     patience
	progress methods.Progress
	// lenient: the end of the context shortens the waiting and does not kill, so that more can be asked afterwards.
	lenient bool
}

// ask sends a request and waits for its answer. An engine that does not keep to the protocol is killed.
func ask[T any](ctx context.Context, s *session, c call) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var none T
	if err := cmp.Or(s.dead, ctx.Err()); err != nil {
		return none, s.wrap(c.verb, err)
	}
	defer s.heed(ctx, c)()
	var answer *T
	var refused error
	err := trace.Do(ctx, "engine: "+c.verb, func() (err error) {
		answer, refused, err = exchange[T](ctx, s, c)
		return err
	})
	switch {
	case err != nil:
		return none, s.abort(ctx, c, err)
	case refused != nil:
		return none, s.wrap(c.verb, refused)
	}
	return *answer, nil
}

// heed does what the end of the context asks for, until the function it returns is called.
func (s *session) heed(ctx context.Context, c call) func() {
	stop := context.AfterFunc(ctx, func() {
		if !c.lenient {
			s.proc.kill()
			return
		}
		_ = s.hurry()
	})
	return func() { stop() }
}

func exchange[T any](ctx context.Context, s *session, c call) (answer *T, refused, err error) {
	start := time.Now()
	s.lastID++
	if err := s.send(request{s.lastID, c.verb, c.params}, c.wait.until(start)); err != nil {
		return nil, nil, err
	}
	for lines := 1; ; lines++ {
		line, err := s.receive(ctx, c.wait.until(start))
		if err != nil {
			return nil, nil, err
		}
		r, err := parseReply[T](line, s.lastID)
		if err != nil {
			return nil, nil, err
		}
		if r.Error != nil {
			refused, err = r.Error.asError()
			return nil, refused, err
		}
		if r.Result != nil {
			return r.Result, nil, nil
		}
		if float64(lines) > burst+linesPerSecond*time.Since(start).Seconds() {
			return nil, nil, fmt.Errorf("a flood of %d lines of progress", lines)
		}
		c.progress.Report(r.Progress.Done, r.Progress.Total)
	}
}

func (s *session) send(message any, deadline time.Time) error {
	line, err := command.JSON(message)
	if err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	in := s.proc.pipes.stdin
	if err := in.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err = in.Write(append(line, '\n'))
	if errors.Is(err, syscall.EPIPE) {
		return errEnded
	}
	return err
}

func (s *session) receive(ctx context.Context, deadline time.Time) ([]byte, error) {
	if err := s.proc.pipes.stdout.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		// What heed did is just overwritten.
		if err := s.hurry(); err != nil {
			return nil, err
		}
	}
	return s.proc.lines.next()
}

// hurry makes the next line due soon.
func (s *session) hurry() error {
	return s.proc.pipes.stdout.SetReadDeadline(time.Now().Add(s.limits.End))
}

// abort kills an engine that can no longer be spoken with, and says why.
func (s *session) abort(ctx context.Context, c call, cause error) error {
	if errors.Is(cause, errEnded) {
		// It may still be about to say with which status.
		s.proc.gone(s.limits.End)
	}
	exit := s.proc.reap()
	s.proc.pipes.close()
	switch {
	case ctx.Err() != nil:
		cause = ctx.Err()
	case errors.Is(cause, os.ErrDeadlineExceeded):
		cause = fmt.Errorf("no answer in %v", c.wait.length())
	case errors.Is(cause, errEnded) && exit != nil:
		cause = fmt.Errorf("%w: %w", cause, exit)
	}
	s.dead = &Error{Engine: s.name, Verb: c.verb, Err: cause, Stderr: s.proc.stderr.String()}
	return s.dead
}

func (s *session) wrap(verb string, err error) error {
	if same := (*Error)(nil); errors.As(err, &same) {
		return err
	}
	return &Error{Engine: s.name, Verb: verb, Err: err}
}

// end lets the engine go. It is an error when the engine says more than it was asked, stays, or ends badly. A process
// that was killed is ended already, and the reason told.
func (s *session) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead != nil {
		return nil
	}
	s.dead = &Error{Engine: s.name, Verb: "end", Err: os.ErrClosed}
	_ = s.proc.pipes.stdin.Close()
	went := s.proc.gone(s.limits.End)
	err := s.proc.reap()
	extra := s.extra()
	s.proc.pipes.close()
	switch {
	case !went:
		err = fmt.Errorf("it still ran %v after its input had ended", s.limits.End)
	case extra:
		err = errors.New("it said more than it was asked")
	}
	if err == nil {
		return nil
	}
	return &Error{Engine: s.name, Verb: "end", Err: err, Stderr: s.proc.stderr.String()}
}

// extra says whether there is more output. Nobody writes any more; the deadline is for a process that left the group.
func (s *session) extra() bool {
	_ = s.proc.pipes.stdout.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	return s.proc.lines.rest()
}

// ended says whether there is no process any more.
func (s *session) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead != nil
}
