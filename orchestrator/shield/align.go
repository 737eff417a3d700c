package shield

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Align makes the overlays true for a guest that stands still in the middle of Lower, and is about to go on: that of a disk
// that is on its base again has nothing any more that a start would find, and a disk that is to stay goes back onto its.
// What is at work is ended, to be done again.
func (s *Shield) Align(ctx context.Context) error {
	s.outdating.Lock()
	defer s.outdating.Unlock()
	if err := s.Domain.Cancel(ctx, s.Overlays); err != nil {
		return err
	}
	places, err := s.Domain.Places(ctx, s.Overlays)
	if err != nil {
		return err
	}
	based, closed := on(OnBase, places, s.Overlays), on(Anew, places, s.Overlays)
	back, err := s.Domain.DefinedOn(ctx, slices.Concat(based, closed))
	if err != nil {
		return err
	}
	back = slices.DeleteFunc(back, func(o Overlay) bool { return !o.Stays })
	based = slices.DeleteFunc(based, func(o Overlay) bool { return contains(back, o) })
	if err := s.Files.Empty(based); err != nil {
		return err
	}
	return s.raiseAgain(ctx, back)
}

// raiseAgain: the guest has written nothing since the disks came off these overlays.
func (s *Shield) raiseAgain(ctx context.Context, back []Overlay) error {
	for _, o := range back {
		if err := errors.Join(s.Domain.Remove(ctx, o), s.Domain.Add(ctx, o)); err != nil {
			return fmt.Errorf("open the overlay of disk %s again: %w", o.Disk.Target, err)
		}
	}
	if len(back) == 0 {
		return nil
	}
	return s.Domain.Switch(ctx, back)
}
