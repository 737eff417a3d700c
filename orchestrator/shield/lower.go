package shield

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/domsnap/domsnap/methods"
)

const (
	// pollJobs is how often the commits are asked how far they are.
	pollJobs = 20 * time.Millisecond
	// patience is how long the commits may come no nearer to their end before the guest is paused for them.
	patience = 10 * time.Second
	// pauseFor is how long the guest may be paused at once.
	pauseFor = 20 * time.Second
)

// LowerOptions say how the disks come off their overlays.
type LowerOptions struct {
	// Active: QEMU runs, or is paused.
	Active bool
	// Pause runs act while the guest stands still, which goes on afterwards if it did before. Whatever becomes of us, it
	// does not go on before Align has been done.
	Pause    func(ctx context.Context, act func(context.Context) error) error
	Progress methods.Progress
}

// Lower brings everything that the guest has written into the disks, puts it onto them and takes the overlays away. It may
// be done again after any interruption, also when the domain was stopped or started meanwhile. Where nothing was raised
// it only takes away what was made ready.
func (s *Shield) Lower(ctx context.Context, o LowerOptions) error {
	if !o.Active {
		return s.lowerOff(ctx)
	}
	places, err := s.Domain.Places(ctx, s.Overlays)
	if err != nil {
		return err
	}
	raised, known := s.on(places, OnOverlay), s.on(places, OnKnown)
	for _, overlay := range known {
		if err := s.Domain.CommitKnown(ctx, overlay); err != nil {
			return fmt.Errorf("commit overlay of disk %s: %w", overlay.Disk.Target, err)
		}
	}
	if len(raised) > 0 {
		if err := s.lowerLive(ctx, raised, o); err != nil {
			return err
		}
	}
	if err := s.defineBases(ctx, s.Overlays); err != nil {
		return err
	}
	return s.forget(ctx, true)
}

func (s *Shield) on(places []Place, where Place) []Overlay {
	var all []Overlay
	for i, p := range places {
		if p == where {
			all = append(all, s.Overlays[i])
		}
	}
	return all
}

// lowerOff commits what the definition names. An overlay that it does not name is one that was not raised, or has been
// committed.
func (s *Shield) lowerOff(ctx context.Context) error {
	for _, o := range s.Overlays {
		on, err := s.Domain.DefinedOn(ctx, o)
		if err == nil && on {
			err = s.Files.Commit(ctx, o)
		}
		if err == nil && on {
			err = s.Domain.Define(ctx, o.Defined)
		}
		if err != nil {
			return fmt.Errorf("lower disk %s: %w", o.Disk.Target, err)
		}
	}
	return s.forget(ctx, false)
}

// lowerLive commits while the guest goes on, and has it stand still for the end. A guest that writes quicker than the
// commits is paused for them, again and again if need be, so that they get to their end.
func (s *Shield) lowerLive(ctx context.Context, raised []Overlay, o LowerOptions) error {
	for _, overlay := range raised {
		if err := s.Domain.Commit(ctx, overlay); err != nil {
			return fmt.Errorf("commit overlay of disk %s: %w", overlay.Disk.Target, err)
		}
	}
	for {
		if err := s.await(ctx, raised, o.Progress); err != nil {
			return err
		}
		err := o.Pause(ctx, func(ctx context.Context) error { return s.end(ctx, raised) })
		if !errors.Is(err, errNotReady) {
			return err
		}
	}
}

// errNotReady: the commits did not get to their end while the guest stood still.
var errNotReady = errors.New("the commits of the overlays are not at their end")

// end is done while the guest stands still. The disks hold everything when it returns, and the definition names them.
func (s *Shield) end(ctx context.Context, raised []Overlay) error {
	bounded, cancel := context.WithTimeoutCause(ctx, pauseFor, errNotReady)
	defer cancel()
	if err := s.converge(bounded, raised); err != nil {
		return err
	}
	if err := s.Domain.Pivot(ctx, raised); err != nil {
		return fmt.Errorf("take the disks off their overlays: %w", err)
	}
	return s.defineBases(ctx, raised)
}

// Align makes the definition true for a guest that stands still in the middle of Lower, and is about to go on: a disk
// that is on its base again must not start from its overlay. What is at work is ended, to be done again.
func (s *Shield) Align(ctx context.Context) error {
	if err := s.Domain.Cancel(ctx, s.Overlays); err != nil {
		return err
	}
	places, err := s.Domain.Places(ctx, s.Overlays)
	if err != nil {
		return err
	}
	return s.defineBases(ctx, s.on(places, OnBase))
}
