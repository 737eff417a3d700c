package shield

import (
	"context"
	"errors"
	"fmt"
)

// Shield is the overlays of one domain.
type Shield struct {
	Domain   Domain
	Files    Files
	Overlays []Overlay
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
	for _, o := range s.Overlays {
		if err := s.Domain.Add(ctx, o); err != nil {
			return fmt.Errorf("shield disk %s: %w", o.Disk.Target, err)
		}
	}
	// From here on a start of the domain begins on the overlays, which are empty yet.
	for _, o := range s.Overlays {
		if err := s.Domain.Define(ctx, o.Raised); err != nil {
			return fmt.Errorf("shield disk %s: %w", o.Disk.Target, err)
		}
	}
	return nil
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
	var errs []error
	for _, o := range overlays {
		var err error
		if active {
			err = s.Domain.Remove(ctx, o)
		}
		if err == nil && !o.Stays {
			err = s.Files.Remove(o)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
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
	for _, o := range defined {
		if err := s.Domain.Define(ctx, element(o)); err != nil {
			return fmt.Errorf("define disk %s: %w", o.Disk.Target, err)
		}
	}
	return nil
}
