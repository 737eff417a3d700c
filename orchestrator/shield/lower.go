package shield

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	// does not go on before Align has been done, but for ErrNotReady, after which nothing has changed.
	Pause func(ctx context.Context, act func(context.Context) error) error
	// HandOver has libvirt put the disks that stay onto their overlays; nil where they do not stay after all.
	HandOver func(ctx context.Context) error
	Progress methods.Progress
}

// Lower brings everything that the guest has written into the disks, puts it onto them and takes the overlays away. It may
// be done again after any interruption, also when the domain was stopped or started meanwhile. Where nothing was raised
// it only takes away what was made ready. Disks that stay are left on their overlays, and libvirt knows it.
func (s *Shield) Lower(ctx context.Context, o LowerOptions) error {
	going, staying := s.Overlays, []Overlay(nil)
	if o.HandOver != nil {
		going, staying = s.apart()
	}
	if !o.Active {
		return errors.Join(s.lowerOff(ctx, going), s.settle(ctx, staying))
	}
	places, err := s.Domain.Places(ctx, s.Overlays)
	if err != nil {
		return err
	}
	live := ending{LowerOptions: o}
	for i, overlay := range s.Overlays {
		if err := s.lowerPlace(ctx, places[i], overlay, &live); err != nil {
			return fmt.Errorf("lower disk %s: %w", overlay.Disk.Target, err)
		}
	}
	if len(live.raised)+len(live.staying) > 0 {
		if err := s.lowerLive(ctx, live); err != nil {
			return err
		}
	}
	if err := errors.Join(s.defineBases(ctx, going), s.settle(ctx, staying)); err != nil {
		return err
	}
	return s.forget(ctx, going, true)
}

// lowerPlace does what a disk needs in its place, or notes it for the end.
func (s *Shield) lowerPlace(ctx context.Context, where Place, o Overlay, live *ending) error {
	stays := live.HandOver != nil && o.Stays
	switch where {
	case OnOverlay:
		if stays {
			live.staying = append(live.staying, o)
		} else {
			live.raised = append(live.raised, o)
		}
		return nil
	case OnKnown:
		if stays {
			return nil
		}
		if err := s.Files.Known(o); err != nil {
			return err
		}
		return s.Domain.CommitKnown(ctx, o)
	case Detached:
		if err := s.Domain.Close(ctx, o); err != nil {
			return err
		}
		return s.commitLeft(ctx, o)
	case Anew:
		return s.checkAnew(o)
	default:
		return nil
	}
}

// commitLeft brings what an overlay has that nobody has open into its disk. It is empty then.
func (s *Shield) commitLeft(ctx context.Context, o Overlay) error {
	written, err := s.Files.Written(o)
	if err != nil || !written {
		return err
	}
	return s.Files.Commit(ctx, o)
}

// checkAnew: somebody has defined the domain anew meanwhile, and it was started so. Nobody can have both what it has
// written since and what the overlay has.
func (s *Shield) checkAnew(o Overlay) error {
	if written, err := s.Files.Written(o); err != nil || !written {
		return err
	}
	return &methods.Blocked{
		What: "somebody has defined the domain anew and started it without " + o.File + ", which has what its guest wrote before",
		Hint: "remove the file, and that is lost; or power the domain off, and what it has written since is overwritten; then recover",
	}
}

// settle defines the disks that stay without what was below their overlays.
func (s *Shield) settle(ctx context.Context, staying []Overlay) error {
	return s.define(ctx, staying, func(o Overlay) string { return o.Settled })
}

// apart tells the overlays that go from those that stay.
func (s *Shield) apart() (going, staying []Overlay) {
	for _, o := range s.Overlays {
		if o.Stays {
			staying = append(staying, o)
		} else {
			going = append(going, o)
		}
	}
	return going, staying
}

func contains(all []Overlay, o Overlay) bool {
	return slices.ContainsFunc(all, func(other Overlay) bool { return other.Node == o.Node })
}

func on(where Place, places []Place, overlays []Overlay) []Overlay {
	var all []Overlay
	for i, p := range places {
		if p == where {
			all = append(all, overlays[i])
		}
	}
	return all
}

// ending is the last part of Lower: the disks that come off their overlays while the guest runs, and those that libvirt
// takes over.
type ending struct {
	LowerOptions
	raised, staying []Overlay
}

// lowerLive commits while the guest goes on, and has it stand still for the end. A guest that writes quicker than the
// commits is paused for them, again and again if need be, so that they get to their end.
func (s *Shield) lowerLive(ctx context.Context, e ending) error {
	for _, overlay := range e.raised {
		if err := s.Domain.Commit(ctx, overlay); err != nil {
			return fmt.Errorf("commit overlay of disk %s: %w", overlay.Disk.Target, err)
		}
	}
	for {
		if err := s.await(ctx, e.raised, e.Progress); err != nil {
			return err
		}
		// What was committed while the guest stood still need not be committed again.
		err := e.Pause(ctx, func(ctx context.Context) error { return s.end(ctx, e) })
		if !errors.Is(err, ErrNotReady) {
			return err
		}
	}
}

// ErrNotReady: the commits did not get to their end while the guest stood still.
var ErrNotReady = errors.New("the commits of the overlays are not at their end")

// end is done while the guest stands still. The disks hold everything when it returns, and their overlays nothing: whether
// the next start is from a disk or from what was its overlay is the same.
func (s *Shield) end(ctx context.Context, e ending) error {
	bounded, cancel := context.WithTimeoutCause(ctx, pauseFor, ErrNotReady)
	defer cancel()
	if err := s.converge(bounded, e.raised); err != nil {
		return err
	}
	if len(e.raised) > 0 {
		if err := s.Domain.Pivot(ctx, e.raised); err != nil {
			return fmt.Errorf("take the disks off their overlays: %w", err)
		}
	}
	if err := s.empty(ctx, e.raised); err != nil || len(e.staying) == 0 {
		return err
	}
	return s.handOver(ctx, e)
}

// empty does nothing that comes late: by then a disk may be on its overlay again.
func (s *Shield) empty(ctx context.Context, all []Overlay) error {
	s.outdating.Lock()
	defer s.outdating.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.Files.Empty(all)
}

// handOver makes overlays known to libvirt, which puts no disk onto one that it is on already.
func (s *Shield) handOver(ctx context.Context, e ending) error {
	for _, o := range e.staying {
		if err := s.Domain.Detach(ctx, o); err != nil {
			return fmt.Errorf("take disk %s off its overlay: %w", o.Disk.Target, err)
		}
	}
	if err := e.HandOver(ctx); err != nil {
		return fmt.Errorf("have libvirt know the overlays: %w", err)
	}
	return nil
}
