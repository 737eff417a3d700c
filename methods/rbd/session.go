package rbd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// session is one image, opened for one verb. librbd's calls know no context, so each runs aside; a call that
// outlives its context goes on, and the session is closed after it.
type session struct {
	place   place
	kept    *kept
	cluster cluster
	reader  reader
	writer  writer
	running sync.WaitGroup
}

// open connects and opens the image: to look at it, and to change it as well if change is set.
func open(ctx context.Context, m *Method, p place, change bool) (*session, error) {
	s := &session{place: p, kept: m.connections}
	if err := s.do(ctx, func() error { return s.fill(change) }); err != nil {
		return nil, errors.Join(err, s.close(m.limits.answer))
	}
	return s, nil
}

func (s *session) fill(change bool) (err error) {
	if s.cluster, err = s.kept.take(s.place.RBDImage); err != nil {
		return err
	}
	if s.reader, err = s.cluster.read(s.place.Image); err != nil {
		return fmt.Errorf("open image %s: %w", s.place.RBDImage, err)
	}
	if !change {
		return nil
	}
	if s.writer, err = s.cluster.write(s.place.Image); err != nil {
		return fmt.Errorf("open image %s for changes: %w", s.place.RBDImage, err)
	}
	return nil
}

// await returns when the call or the context ends, whichever is first. It starts nothing once the context has
// ended.
func await[T any](ctx context.Context, s *session, call func() (T, error)) (found T, err error) {
	if err := ctx.Err(); err != nil {
		return found, err
	}
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	s.running.Go(func() {
		value, err := call()
		answers <- answer{value, err}
	})
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return found, fmt.Errorf("wait for Ceph about %s: %w", s.place.RBDImage, ctx.Err())
	}
}

// do is await for a call whose only answer is its error.
func (s *session) do(ctx context.Context, call func() error) error {
	_, err := await(ctx, s, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// close lets go of everything once no call runs any more. When that takes longer than the limit it is an
// error, and happens later if the process lives on.
func (s *session) close(limit time.Duration) error {
	closed := make(chan error, 1)
	go func() {
		s.running.Wait()
		closed <- s.release()
	}()
	select {
	case err := <-closed:
		return err
	case <-time.After(limit):
		return fmt.Errorf("close image %s: a call to Ceph still runs", s.place.RBDImage)
	}
}

func (s *session) release() error {
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	if s.reader != nil {
		errs = append(errs, s.reader.close())
	}
	err := errors.Join(errs...)
	if s.cluster != nil {
		s.leave(err == nil)
	}
	return err
}

// leave keeps a connection for the next verb, unless an image may still be open in it.
func (s *session) leave(clean bool) {
	if clean {
		s.kept.give(s.place.RBDImage, s.cluster)
		return
	}
	s.cluster.close()
}

// inspect looks at an image that it opens for that.
func inspect[T any](ctx context.Context, m *Method, p place, look func(reader) (T, error)) (found T, err error) {
	s, err := open(ctx, m, p, false)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, s.close(m.limits.answer)) }()
	return await(ctx, s, func() (T, error) { return look(s.reader) })
}

// change opens an image, looks for what stands in the way, and changes it if there is nothing.
func (m *Method) change(ctx context.Context, p place, look func(reader) error, act func(writer) error) (err error) {
	s, err := open(ctx, m, p, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(m.limits.answer)) }()
	if err := s.do(ctx, func() error { return look(s.reader) }); err != nil {
		return err
	}
	return s.do(ctx, func() error { return act(s.writer) })
}
