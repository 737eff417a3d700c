package engine

import (
	"cmp"
	"context"

	"github.com/domsnap/domsnap/methods"
)

// Prepare implements methods.Preparer: it starts the process, and lets it prepare if it wants to.
func (m *Method) Prepare(ctx context.Context, refs []methods.Ref) (methods.Prepared, error) {
	s, err := m.open(ctx)
	if err != nil {
		return nil, err
	}
	p := &prepared{method: m, session: s, groups: m.groups(refs)}
	if !m.hello.Verbs.Prepare {
		return p, nil
	}
	if err := p.each(ctx, "prepare"); err != nil {
		return nil, cmp.Or(err, s.end())
	}
	return p, nil
}

// groups are what is taken by one request: all or nothing, or one disk.
func (m *Method) groups(refs []methods.Ref) [][]methods.Ref {
	if m.hello.Traits.Atomic {
		return [][]methods.Ref{refs}
	}
	groups := make([][]methods.Ref, len(refs))
	for i, ref := range refs {
		groups[i] = []methods.Ref{ref}
	}
	return groups
}

// prepared is an engine that waits for the act.
type prepared struct {
	method  *Method
	session *session
	groups  [][]methods.Ref
}

func (p *prepared) each(ctx context.Context, verb string) error {
	for _, refs := range p.groups {
		if _, err := ask[nothing](ctx, p.session, p.method.act(verb, refsParams{refs}, nil)); err != nil {
			return err
		}
	}
	return nil
}

// Take implements methods.Prepared.
func (p *prepared) Take(ctx context.Context) error {
	return p.each(ctx, "take")
}

// Close implements methods.Prepared. Where the engine is dead its verb said so, and Drop follows.
func (p *prepared) Close(ctx context.Context) error {
	if p.session.ended() || !p.method.hello.Verbs.Prepare {
		return p.session.end()
	}
	_, err := ask[nothing](ctx, p.session, p.method.act("finish", nothing{}, nil))
	return cmp.Or(err, p.session.end())
}
