package orchestrator

import (
	"errors"
	"fmt"
)

// What an error of a verb can be, for those who decide on it. The errors of methods, quiesce and xmlspec come through
// as well.
var (
	// ErrUsage: what was asked for makes no sense.
	ErrUsage = errors.New("wrong usage")
	// ErrNotFound: there is no such domain, disk or snapshot.
	ErrNotFound = errors.New("not found")
	// ErrBusy: another operation holds the domain.
	ErrBusy = errors.New("another operation holds the domain")
	// ErrRefused: something stands in the way, or this domain cannot do it.
	ErrRefused = errors.New("not possible here")
	// ErrFailed: it was tried, did not work, and everything is as it was before.
	ErrFailed = errors.New("failed, and everything was undone")
	// ErrNoAnswer: the hypervisor stands still, or what it does to the domain does.
	ErrNoAnswer = errors.New("the hypervisor does not answer")
	// ErrUnfinished: there is work that recover has to finish.
	ErrUnfinished = errors.New("there is unfinished work")
)

// Problem is an error of a known kind that says what to do.
type Problem struct {
	// Kind is one of the errors above.
	Kind error
	Err  error
	// Hint is what to do next; may be empty.
	Hint string
}

func (p *Problem) Error() string { return p.Err.Error() }

// Unwrap gives the kind and the cause.
func (p *Problem) Unwrap() []error { return []error{p.Kind, p.Err} }

// NotFoundf makes an ErrNotFound.
func NotFoundf(format string, args ...any) error {
	return &Problem{Kind: ErrNotFound, Err: fmt.Errorf(format, args...)}
}

// notFound is NotFoundf that says where to look.
func notFound(hint, format string, args ...any) error {
	return &Problem{Kind: ErrNotFound, Err: fmt.Errorf(format, args...), Hint: hint}
}

func refuse(hint, format string, args ...any) error {
	return &Problem{Kind: ErrRefused, Err: fmt.Errorf(format, args...), Hint: hint}
}
