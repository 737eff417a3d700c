package memory

import (
	"context"
	"errors"

	"github.com/domsnap/domsnap/methods"
)

// Prepare implements methods.Preparer: it reserves the names.
func (m *Method) Prepare(ctx context.Context, refs []methods.Ref) (methods.Prepared, error) {
	for _, ref := range refs {
		if err := m.store.reach(ctx, AtPrepare, ref.Disk.Target); err != nil {
			return nil, err
		}
		if err := m.store.reserve(ref.Name); err != nil {
			return nil, err
		}
		if err := m.store.reach(ctx, AfterPrepare, ref.Disk.Target); err != nil {
			return nil, err
		}
	}
	return &prepared{method: m, refs: refs}, nil
}

type prepared struct {
	method *Method
	refs   []methods.Ref
}

// Take implements methods.Prepared. Of several refs it takes all or none.
func (p *prepared) Take(ctx context.Context) error {
	for i, ref := range p.refs {
		if err := p.method.takeOne(ctx, ref); err != nil {
			for _, before := range p.refs[:i] {
				err = errors.Join(err, p.method.untakeOne(before))
			}
			return err
		}
	}
	return nil
}

// untakeOne takes a snapshot back, also when the context of the act has ended.
func (m *Method) untakeOne(ref methods.Ref) error {
	m.store.untake(ref.Name)
	if m.opts.Move == nil {
		return nil
	}
	m.store.move(ref.Active, ref.Origin)
	return m.opts.Move(context.Background(), ref.Disk.Domain, ref.Disk.Target, ref.Origin)
}

// Close implements methods.Prepared.
func (p *prepared) Close(ctx context.Context) error {
	var errs []error
	for _, ref := range p.refs {
		errs = append(errs, p.method.store.reach(ctx, AtClose, ref.Disk.Target))
	}
	return errors.Join(errs...)
}

func (m *Method) takeOne(ctx context.Context, ref methods.Ref) error {
	target := ref.Disk.Target
	if err := m.store.reach(ctx, AtTake, target); err != nil {
		return err
	}
	if err := m.store.take(ref); err != nil {
		return err
	}
	if m.opts.Move != nil {
		if err := m.opts.Move(ctx, ref.Disk.Domain, target, ref.Active); err != nil {
			return err
		}
		m.store.move(ref.Origin, ref.Active)
	}
	return m.store.reach(ctx, AfterTake, target)
}
