package shield

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Shield is the overlays of one domain.
type Shield struct {
	Domain   Domain
	Files    Files
	Overlays []Overlay
	// outdating is held while overlays are emptied, and by who finds out which may be.
	outdating sync.Mutex
}

// Ready makes everything that Raise needs, while the guest runs. After an error Lower takes away what there is.
func (s *Shield) Ready(ctx context.Context) error {
	for _, o := range s.Overlays {
		if o.Stays {
			continue
		}
		if err := s.Files.Make(ctx, o); err != nil {
			return fmt.Errorf("shield disk %s: %w", o.Disk.Target, err)
		}
	}
	raised := make([]string, len(s.Overlays))
	for i, o := range s.Overlays {
		if err := s.Domain.Add(ctx, o); err != nil {
			return fmt.Errorf("shield disk %s: %w", o.Disk.Target, err)
		}
		raised[i] = o.Raised
	}
	if err := s.forbid(ctx); err != nil {
		return fmt.Errorf("keep the guest where it is: %w", err)
	}
	// From here on a start of the domain begins on the overlays, which are empty yet.
	if err := s.Domain.Define(ctx, raised); err != nil {
		return fmt.Errorf("define the overlays: %w", err)
	}
	return nil
}

func (s *Shield) forbid(ctx context.Context) error {
	anchor, err := s.Files.MakeAnchor(ctx)
	if err != nil {
		return err
	}
	return s.Domain.Forbid(ctx, anchor)
}

// Raise is the instant: from here on the guest writes to the overlays.
func (s *Shield) Raise(ctx context.Context) error {
	if err := s.Domain.Switch(ctx, s.Overlays); err != nil {
		return fmt.Errorf("put the disks onto overlays: %w", err)
	}
	return nil
}

// forget takes away overlays that no disk is on and that the definition does not name.
func (s *Shield) forget(ctx context.Context, overlays []Overlay, active bool) error {
	if active {
		var errs []error
		for _, o := range overlays {
			errs = append(errs, s.Domain.Remove(ctx, o))
		}
		if err := errors.Join(append(errs, s.Domain.Allow(ctx))...); err != nil {
			return err
		}
	}
	return errors.Join(s.Files.Remove(overlays), s.Files.RemoveAnchor())
}

// defineBases points the definition at the disks themselves, where it names their overlays.
func (s *Shield) defineBases(ctx context.Context, overlays []Overlay) error {
	return s.define(ctx, overlays, func(o Overlay) string { return o.Defined })
}

// define replaces the disks whose overlays the definition names.
func (s *Shield) define(ctx context.Context, overlays []Overlay, element func(Overlay) string) error {
	if len(overlays) == 0 {
		return nil
	}
	defined, err := s.Domain.DefinedOn(ctx, overlays)
	if err != nil {
		return err
	}
	elements := make([]string, len(defined))
	for i, o := range defined {
		elements[i] = element(o)
	}
	// Also where there is nothing to replace: who replaced it may have died before it was durable.
	if err := s.Domain.Define(ctx, elements); err != nil {
		return fmt.Errorf("define the disks: %w", err)
	}
	return nil
}
