package methodtest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// The checks of verbs that are stopped.
const (
	ContextEnds                Check = "ContextEnds"
	CancelledTakeLeavesNothing Check = "CancelledTakeLeavesNothing"
	AbandonedTakeLeavesNothing Check = "AbandonedTakeLeavesNothing"
	CancelledDropIsFinished    Check = "CancelledDropIsFinished"
	RevertInterrupted          Check = "RevertInterrupted"
)

func interruptChecks() []check {
	return []check{
		{ContextEnds, always, contextEnds},
		{CancelledTakeLeavesNothing, always, cancelledTakeLeavesNothing},
		{AbandonedTakeLeavesNothing, always, abandonedTakeLeavesNothing},
		{CancelledDropIsFinished, always, cancelledDropIsFinished},
		{RevertInterrupted, always, revertInterrupted},
	}
}

// soon is how long a verb may go on when its context has ended.
const soon = 10 * time.Second

// cuts are after how many looks at it a context ends.
var cuts = [...]int64{0, 1, 2, 3, 5, 8, 13, 21, 34}

// cut is a context that ends when a verb has looked at it so many times: somewhere in the middle.
type cut struct {
	context.Context
	cancel context.CancelFunc
	left   atomic.Int64
}

func cutAfter(ctx context.Context, looks int64) *cut {
	c := &cut{}
	c.Context, c.cancel = context.WithCancel(ctx)
	c.left.Store(looks)
	return c
}

func (c *cut) look() {
	if c.left.Add(-1) < 0 {
		c.cancel()
	}
}

// Err implements context.Context.
func (c *cut) Err() error {
	c.look()
	return c.Context.Err()
}

// Done implements context.Context.
func (c *cut) Done() <-chan struct{} {
	c.look()
	return c.Context.Done()
}

// contextEnds wants acts to fail, soon and without having done anything, and everything else to come back.
func contextEnds(b *bench) {
	s := b.disk("vda")
	snap := s.take("there")
	s.scribble("after")
	before := b.objects(s.disk)
	for verb, act := range s.acts(snap) {
		begin := time.Now()
		if err := act(cutAfter(b.Context(), 0)); err == nil {
			b.Errorf("%s succeeds though its context has ended", verb)
		}
		if took := time.Since(begin); took > soon {
			b.Errorf("%s took %s though its context has ended", verb, took)
		}
		s.wantObjects(before...)
	}
	s.wantDisk()
	s.wantSnapshots()
}

// acts are the verbs that change something.
func (s *subject) acts(snap *snapshot) map[string]func(context.Context) error {
	ref, req := s.plan("new"), s.revertRequest(snap)
	s.tried = append(s.tried, ref)
	return map[string]func(context.Context) error{
		"take": func(ctx context.Context) error { return s.Method.Take(ctx, ref) },
		"drop": func(ctx context.Context) error { return s.Method.Drop(ctx, s.dropRequest(snap.ref)) },
		"revert": func(ctx context.Context) error {
			how, err := methods.CheckRevert(s.Context(), s.Method, req)
			s.must("check the revert", err)
			req.How = how
			_, err = methods.Revert(ctx, s.Method, req)
			return err
		},
	}
}

func cancelledTakeLeavesNothing(b *bench) {
	s := b.disk("vda")
	for _, looks := range cuts {
		ref := s.plan("cut")
		s.tried = append(s.tried, ref)
		err := s.takeIn(cutAfter(b.Context(), looks), ref)
		if err == nil {
			s.took(ref)
		}
		s.follow("")
		s.drop(ref)
		s.wantObjects()
		_, statErr := b.Method.Stat(b.Context(), ref)
		b.wantError("stat of what was cancelled and dropped", statErr, methods.ErrNotFound)
		s.wantDisk()
		if err == nil {
			return
		}
	}
}

// abandonedTakeLeavesNothing: what was taken is not wanted, since another disk failed.
func abandonedTakeLeavesNothing(b *bench) {
	s := b.disk("vda")
	ref := s.plan("unwanted")
	ready := s.prepare(ref)
	b.must("take", ready.Take(b.Context()))
	begin := time.Now()
	err := ready.Close(cutAfter(b.Context(), 0))
	if took := time.Since(begin); took > soon {
		b.Errorf("letting go of what nobody wants took %s", took)
	}
	b.Logf("close of what nobody wants: %v", err)
	s.follow("")
	s.drop(ref)
	s.wantObjects()
	s.wantDisk()
	_, err = b.Method.Stat(b.Context(), ref)
	b.wantError("stat of what was abandoned and dropped", err, methods.ErrNotFound)
}

// takeIn takes a snapshot in a context that may end. Close still runs: the operation gives it a context of its own.
func (s *subject) takeIn(ctx context.Context, ref methods.Ref) error {
	ready, err := methods.Prepare(ctx, s.Method, []methods.Ref{ref})
	if err != nil {
		return err
	}
	return errors.Join(ready.Take(ctx), ready.Close(s.background()))
}

func cancelledDropIsFinished(b *bench) {
	s := b.disk("vda")
	for _, looks := range cuts {
		kept, cut := s.take("kept"), s.take("cut")
		s.scribble("after")
		err := b.Method.Drop(cutAfter(b.Context(), looks), s.dropRequest(cut.ref))
		s.follow("")
		s.drop(cut.ref)
		s.wantSnapshots()
		s.wantDisk()
		s.drop(kept.ref)
		if err == nil {
			return
		}
	}
}

// revertInterrupted stops a revert wherever it looks at its context, and finishes it.
func revertInterrupted(b *bench) {
	s := b.chain()
	for _, looks := range cuts {
		to := s.taken[1]
		s.write(noise("all", b.suite.Size), 0)
		req := s.revertRequest(to)
		how, err := methods.CheckRevert(b.Context(), b.Method, req)
		b.must("check the revert", err)
		req.How = how
		_, cutErr := methods.Revert(cutAfter(b.Context(), looks), b.Method, req)
		req.Again = true
		_, err = methods.Revert(b.Context(), b.Method, req)
		b.must("finish the revert", err)
		s.reverted(to)
		s.wantSnapshots()
		if cutErr == nil {
			return
		}
	}
}
