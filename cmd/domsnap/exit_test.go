package main

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/xmlspec"
)

func TestExitCodes(t *testing.T) {
	problem := func(kind, err error) error { return &orchestrator.Problem{Kind: kind, Err: err} }
	other := errors.New("other")
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"undone", problem(orchestrator.ErrFailed, other), 1},
		{"unknown", other, 1},
		{"usage", problem(orchestrator.ErrUsage, other), 2},
		{"descriptor", fmt.Errorf("file: %w", &xmlspec.SyntaxError{Line: 1}), 2},
		{"no domain", orchestrator.NotFoundf("no"), 3},
		{"no snapshot in the storage", methods.ErrNotFound, 3},
		{"no disk, at a place in the descriptor", problem(orchestrator.ErrNotFound, &xmlspec.SyntaxError{Line: 1}), 3},
		{"busy", problem(orchestrator.ErrBusy, orchestrator.ErrBusy), 4},
		{"frozen by somebody else", fmt.Errorf("x: %w", quiesce.ErrFrozen), 4},
		{"no answer", problem(orchestrator.ErrNoAnswer, other), 1},
		{"no room", problem(orchestrator.ErrFailed, syscall.ENOSPC), 1},
		{"not quiesced", fmt.Errorf("x: %w", quiesce.ErrNotQuiesced), 5},
		{"refused", problem(orchestrator.ErrRefused, other), 6},
		{"blocked", methods.Blockedf("x"), 6},
		{"unsupported", methods.Unsupportedf("x"), 6},
		{"broken", methods.ErrBroken, 6},
		{"unfinished", problem(orchestrator.ErrUnfinished, other), 7},
		{"not released", quiesce.ErrNotReleased, 8},
		// The worse news wins.
		{"undone, because of a blocker", problem(orchestrator.ErrFailed, methods.Blockedf("x")), 1},
		{"unfinished, because something is missing", problem(orchestrator.ErrUnfinished, methods.ErrNotFound), 7},
		{"unfinished, because there is no answer", problem(orchestrator.ErrUnfinished, problem(orchestrator.ErrNoAnswer, other)), 7},
		{"unfinished and not quiesced", problem(orchestrator.ErrUnfinished, quiesce.ErrNotQuiesced), 7},
		{"unfinished and not released", problem(orchestrator.ErrUnfinished, quiesce.ErrNotReleased), 8},
		{"not quiesced and not released", errors.Join(quiesce.ErrNotQuiesced, quiesce.ErrNotReleased), 8},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestHints(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"none", errors.New("x"), ""},
		{"a problem's", &orchestrator.Problem{Kind: orchestrator.ErrBusy, Err: errors.New("x"), Hint: "wait"}, "wait"},
		{"a blocker's", fmt.Errorf("x: %w", &methods.Blocked{What: "x", Hint: "move it"}), "move it"},
		{"a blocker's inside a problem", &orchestrator.Problem{
			Kind: orchestrator.ErrFailed, Err: &methods.Blocked{What: "x", Hint: "move it"},
		}, "move it"},
	} {
		if got := hintOf(c.err); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for _, err := range []error{quiesce.ErrNotReleased, quiesce.ErrNotQuiesced, quiesce.ErrFrozen} {
		if hintOf(err) == "" {
			t.Errorf("no hint says what to do about %v", err)
		}
	}
}
