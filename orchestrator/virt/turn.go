package virt

import (
	"context"

	"github.com/domsnap/domsnap/methods/trace"
)

// inTurn does something that moves the disks of a domain, and waits for it also when ctx ends meanwhile: what is still to
// come after somebody has looked at the disks would make untrue what he has seen. Whose turn comes too late does nothing.
func (h *Host) inTurn(ctx context.Context, name string, do func() error) error {
	return trace.Do(ctx, "libvirt: "+name, func() error {
		return seenThrough(ctx, func() error {
			h.acting.Lock()
			defer h.acting.Unlock()
			if err := ctx.Err(); err != nil {
				return err
			}
			return do()
		})
	})
}

// settled asks when nothing is on its way. Where ctx of that has ended nothing comes after it, so that what is seen stays.
func settled[T any](ctx context.Context, d *Domain, call func(*Domain) (T, error)) (T, error) {
	return ask(ctx, d, func(now *Domain) (T, error) {
		d.host.acting.Lock()
		defer d.host.acting.Unlock()
		return call(now)
	})
}
