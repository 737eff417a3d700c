package shield

import (
	"context"
	"errors"
	"fmt"
)

// lowerOff commits what the definition names, and what has something in it all the same: the guest was told that this is
// written, and somebody has defined the domain anew since.
func (s *Shield) lowerOff(ctx context.Context, going []Overlay) error {
	defined, err := s.Domain.DefinedOn(ctx, going)
	if err != nil {
		return err
	}
	for _, o := range going {
		commit := s.commitLeft
		if contains(defined, o) {
			commit = s.Files.Commit
		}
		if err := commit(ctx, o); err != nil {
			return fmt.Errorf("lower disk %s: %w", o.Disk.Target, err)
		}
	}
	if err := s.defineBases(ctx, going); err != nil {
		return err
	}
	for _, o := range defined {
		if err := s.stayedOff(ctx, o); err != nil {
			return fmt.Errorf("lower disk %s: %w", o.Disk.Target, err)
		}
	}
	return s.forget(ctx, going, false)
}

// stayedOff: the domain may be started at any time, and then from the overlay as long as the definition names it.
func (s *Shield) stayedOff(ctx context.Context, o Overlay) error {
	if err := s.Files.Unused(ctx, o); err != nil {
		return errors.Join(err, s.Domain.Define(ctx, []string{o.Raised}))
	}
	return nil
}
