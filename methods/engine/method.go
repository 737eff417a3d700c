// Package engine is methods that live in processes of their own, in any language. PROTOCOL.md says what they speak.
//
// An engine is started for one operation and ends with it. Prepare starts it and Take asks the process that runs
// already, so that an act while the guest is held costs a round trip on a pipe.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// File is the program of an engine.
type File struct {
	// Name is what descriptors call it.
	Name string
	Path string
	// Refused says why it must not be run; nil when it may.
	Refused error
}

// Method is an engine.
type Method struct {
	file   File
	limits Limits
	hello  greeting
	// broken is why it cannot be used, whatever it is asked.
	broken error
}

// Load greets the engine once and remembers what it says of itself. One that cannot be used is a method too: it says
// why, whatever it is asked.
func Load(ctx context.Context, file File, l Limits) *Method {
	m := &Method{file: file, limits: l, broken: file.Refused}
	m.hello.Traits = methods.Traits{Name: file.Name, Summary: "cannot be used", TakeCost: methods.CostSize, RevertCost: methods.CostSize}
	if m.broken != nil {
		return m
	}
	s, hello, err := launch(ctx, file, l)
	if err == nil {
		err = s.end()
	}
	if err != nil {
		m.broken = err
		return m
	}
	m.hello = hello
	return m
}

// Path is the program.
func (m *Method) Path() string { return m.file.Path }

// Traits implements methods.Method.
func (m *Method) Traits() methods.Traits {
	t := m.hello.Traits
	t.Summary = fmt.Sprintf("%s [engine %s]", t.Summary, m.file.Path)
	return t
}

// Verbs implements methods.Declarer. There is always a Prepare, which starts the process; and where the engine cannot be
// used a Check, which says so.
func (m *Method) Verbs() methods.Verbs {
	if m.broken != nil {
		return methods.Verbs{Check: true}
	}
	v := m.hello.Verbs.Verbs
	v.Prepare = true
	return v
}

// open starts a process for an operation.
func (m *Method) open(ctx context.Context) (*session, error) {
	if m.broken != nil {
		return nil, m.broken
	}
	s, hello, err := launch(ctx, m.file, m.limits)
	if err != nil {
		return nil, err
	}
	if hello != m.hello {
		// What was decided by its traits may be wrong now.
		err := &Error{Engine: m.file.Name, Verb: "greeting", Err: errors.New("it is another one than a moment ago")}
		return nil, cmp.Or[error](err, s.end())
	}
	return s, nil
}

// once asks one thing of a process of its own.
func once[T any](ctx context.Context, m *Method, c call) (answer T, err error) {
	s, err := m.open(ctx)
	if err != nil {
		return answer, err
	}
	answer, err = ask[T](ctx, s, c)
	return answer, cmp.Or(err, s.end())
}

// look is a verb that changes nothing, and so answers soon.
func (m *Method) look(verb string, params any) call {
	return call{verb: verb, params: params, wait: patience{total: m.limits.Short}}
}

// act is a verb that takes as long as it takes, and says that it lives.
func (m *Method) act(verb string, params any, p methods.Progress) call {
	return call{verb: verb, params: params, wait: patience{silence: m.limits.Silence}, progress: p}
}

// wrong is an answer that cannot be.
func (m *Method) wrong(verb string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Engine: m.file.Name, Verb: verb, Err: fmt.Errorf("a wrong answer: %w", err)}
}

// Plan implements methods.Method.
func (m *Method) Plan(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	return m.plan(ctx, "plan", req, m.hello.Traits.MovesSource)
}

func (m *Method) plan(ctx context.Context, verb string, req methods.PlanRequest, moves bool) (methods.Ref, error) {
	if _, err := methods.ObjectName(req.ID, req.Disk.Target); err != nil {
		return methods.Ref{}, err
	}
	answer, err := once[plannedRef](ctx, m, m.look(verb, planParams{req.Disk, req.ID, req.Spec, req.Like}))
	if err != nil {
		return methods.Ref{}, err
	}
	if err := answer.check(moves); err != nil {
		return methods.Ref{}, m.wrong(verb, err)
	}
	return answer.ref(m.file.Name, req), nil
}

// Take implements methods.Method.
func (m *Method) Take(ctx context.Context, ref methods.Ref) error {
	return methods.TakeNow(ctx, m, ref)
}

// Stat implements methods.Method.
func (m *Method) Stat(ctx context.Context, ref methods.Ref) (methods.Info, error) {
	answer, err := once[statAnswer](ctx, m, m.look("stat", refParams{ref}))
	if err != nil {
		return methods.Info{}, err
	}
	if n := answer.BytesUsed; n != nil && *n == -1 {
		return methods.Info{BytesUsed: -1}, nil
	}
	if err := checkSize("bytes_used", answer.BytesUsed); err != nil {
		return methods.Info{}, m.wrong("stat", err)
	}
	return methods.Info{BytesUsed: *answer.BytesUsed}, nil
}

// Drop implements methods.Method.
func (m *Method) Drop(ctx context.Context, req methods.DropRequest) error {
	_, err := once[nothing](ctx, m, m.act("drop", toDrop(req), req.Progress))
	return err
}

var (
	_ methods.Method   = (*Method)(nil)
	_ methods.Declarer = (*Method)(nil)
	_ methods.Prober   = (*Method)(nil)
	_ methods.Claimer  = (*Method)(nil)
	_ methods.Checker  = (*Method)(nil)
	_ methods.Preparer = (*Method)(nil)
	_ methods.Merger   = (*Method)(nil)
	_ methods.Sourcer  = (*Method)(nil)
	_ methods.Differ   = (*Method)(nil)
	_ methods.Reverter = (*Method)(nil)
	_ methods.Keeper   = (*Method)(nil)
	_ methods.Lister   = (*Method)(nil)
)
