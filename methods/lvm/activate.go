package lvm

import (
	"context"
	"fmt"
	"sync"
)

// readers counts, for each snapshot that this process has activated, who reads it.
type readers struct {
	sync.Mutex
	of map[name]int
}

// activate makes sure that a sound snapshot has a device until release is called. What was active before, and what
// somebody else has open at the end, stays active.
func (m *Method) activate(ctx context.Context, t target) (release func() error, err error) {
	m.readers.Lock()
	defer m.readers.Unlock()
	g, err := m.group(ctx, t.snapshot.group)
	if err != nil {
		return nil, err
	}
	v, err := t.sound(g)
	if err != nil {
		return nil, err
	}
	if bool(v.Active) && m.readers.of[t.snapshot] == 0 {
		return func() error { return nil }, nil
	}
	if !v.Active {
		if err := m.setActive(ctx, t.snapshot, true); err != nil {
			return nil, fmt.Errorf("activate snapshot %s: %w", t.snapshot, err)
		}
	}
	m.readers.of[t.snapshot]++
	return sync.OnceValue(func() error { return m.leave(t.snapshot) }), nil
}

// leave deactivates a snapshot when its last reader goes.
func (m *Method) leave(n name) error {
	m.readers.Lock()
	defer m.readers.Unlock()
	if m.readers.of[n]--; m.readers.of[n] > 0 {
		return nil
	}
	delete(m.readers.of, n)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := m.setActive(ctx, n, false)
	if err == nil || m.mayStay(ctx, n) {
		return nil
	}
	return fmt.Errorf("deactivate snapshot %s: %w", n, err)
}

// setActive says yes to a thick snapshot's origin going with it.
func (m *Method) setActive(ctx context.Context, n name, active bool) error {
	args := []string{"--yes", "--activate", yesNo(active)}
	if active {
		args = append(args, "--ignoreactivationskip")
	}
	return m.change(ctx, "lvchange", append(args, n.String())...)
}

// mayStay: a snapshot that cannot be deactivated is another reader's now, or its origin somebody's disk, or it is
// gone.
func (m *Method) mayStay(ctx context.Context, n name) bool {
	g, err := m.group(ctx, n.group)
	if err != nil {
		return false
	}
	v, _ := g.find(n.volume)
	origin, _ := g.find(v.Origin)
	return !bool(v.Active) || bool(v.Open) || v.thickSnapshot() && bool(origin.Open)
}
