package main

import (
	"errors"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/xmlspec"
)

// exitCodes say which error ends the program how; the first that fits counts.
func exitCode(err error) int {
	var syntax *xmlspec.SyntaxError
	switch {
	case errors.Is(err, quiesce.ErrNotReleased):
		return 8
	case errors.Is(err, orchestrator.ErrUnfinished):
		return 7
	case errors.Is(err, quiesce.ErrNotQuiesced):
		return 5
	case errors.Is(err, orchestrator.ErrFailed):
		return 1
	case errors.Is(err, orchestrator.ErrBusy), errors.Is(err, quiesce.ErrFrozen):
		return 4
	case errors.Is(err, orchestrator.ErrNotFound), errors.Is(err, methods.ErrNotFound):
		return 3
	case errors.Is(err, orchestrator.ErrUsage), errors.As(err, &syntax):
		return 2
	case errors.Is(err, orchestrator.ErrRefused), errors.Is(err, methods.ErrBlocked),
		errors.Is(err, methods.ErrUnsupported), errors.Is(err, methods.ErrExists), errors.Is(err, methods.ErrBroken):
		return 6
	default:
		return 1
	}
}

// hintOf is what to do about an error, if anybody knows.
func hintOf(err error) string {
	if errors.Is(err, quiesce.ErrNotReleased) {
		return "thaw it by hand: virsh domfsthaw DOMAIN; virsh resume DOMAIN; or fsfreeze -u in the guest"
	}
	var problem *orchestrator.Problem
	if errors.As(err, &problem) && problem.Hint != "" {
		return problem.Hint
	}
	var blocked *methods.Blocked
	if errors.As(err, &blocked) {
		return blocked.Hint
	}
	if errors.Is(err, quiesce.ErrFrozen) {
		return "wait for who has frozen it; where that was nobody: virsh domfsthaw DOMAIN"
	}
	if errors.Is(err, quiesce.ErrNotQuiesced) {
		return "see whether the guest's agent answers: virsh domfsinfo DOMAIN; or let the guest be paused instead: --quiesce try"
	}
	return ""
}
