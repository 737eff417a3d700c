package virt

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/orchestrator"
)

// still is a call of a libvirt that stands still until it is continued.
type still chan struct{}

func (s still) call() error {
	<-s
	return nil
}

// inStill runs a test beside a libvirt that stands still.
func inStill(t *testing.T, test func(*testing.T, still)) {
	synctest.Test(t, func(t *testing.T) {
		s := make(still)
		defer close(s)
		test(t, s)
	})
}

func TestQuestionWithoutAnswerIsGivenUp(t *testing.T) {
	inStill(t, func(t *testing.T, s still) {
		begun := time.Now()
		err := boundedDo(t.Context(), s.call)
		var problem *orchestrator.Problem
		if !errors.Is(err, orchestrator.ErrNoAnswer) || !errors.As(err, &problem) || problem.Hint == "" {
			t.Errorf("it ended with %v", err)
		}
		if took := time.Since(begun); took != answerLimit {
			t.Errorf("it took %s", took)
		}
	})
}

func TestCallerWhoIsToldToStopDoesNotWaitForLibvirt(t *testing.T) {
	for waited, want := range map[time.Duration]bool{silence: true, silence / 2: false} {
		inStill(t, func(t *testing.T, s still) {
			ctx, cancel := context.WithCancel(t.Context())
			begun := time.Now()
			time.AfterFunc(waited, cancel)
			err := boundedDo(ctx, s.call)
			if !errors.Is(err, context.Canceled) || errors.Is(err, orchestrator.ErrNoAnswer) != want {
				t.Errorf("after %s it ended with %v", waited, err)
			}
			if took := time.Since(begun); took != waited {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestDomainWhoseJobIsHeldSaysWhatToDo(t *testing.T) {
	held := libvirt.Error{Code: libvirt.ERR_OPERATION_TIMEOUT, Message: "cannot acquire state change lock"}
	err := boundedDo(t.Context(), func() error { return held })
	if !errors.Is(err, orchestrator.ErrNoAnswer) || !isCode(err, libvirt.ERR_OPERATION_TIMEOUT) {
		t.Errorf("it ended with %v", err)
	}
}

// TestActThatMovesDisksIsWaitedForAlthoughNobodyWantsItAnyMore: what comes unseen would move them under who undoes it.
func TestActThatMovesDisksIsWaitedForAlthoughNobodyWantsItAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		came := false
		err := seenThrough(ctx, func() error {
			time.Sleep(lateLimit - time.Second)
			came = true
			return nil
		})
		if err != nil || !came {
			t.Errorf("it ended with %v; came: %v", err, came)
		}
	})
}

func TestActThatDoesNotComeIsLeftToRecover(t *testing.T) {
	for name, c := range map[string]struct{ stopped, want time.Duration }{
		"told to stop":  {time.Second, time.Second + lateLimit},
		"never stopped": {time.Hour, actLimit + lateLimit},
	} {
		t.Run(name, func(t *testing.T) {
			inStill(t, func(t *testing.T, s still) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				begun := time.Now()
				time.AfterFunc(c.stopped, cancel)
				if err := seenThrough(ctx, s.call); !errors.Is(err, orchestrator.ErrUnfinished) {
					t.Errorf("it ended with %v", err)
				}
				if took := time.Since(begun); took != c.want {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// TestHostThatConnectsForEverCanBeLeft: who connects holds the lock that Close wants.
func TestHostThatConnectsForEverCanBeLeft(t *testing.T) {
	h := &Host{}
	h.mu.Lock()
	if err := h.Close(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it ended with %v", err)
	}
}
