package memory

import "context"

// Point is where in a verb a test can step in.
type Point string

// The points. Those named At come before the verb has changed anything.
const (
	AtPlan    Point = "plan"
	AtPrepare Point = "prepare"
	// AfterPrepare: the room is reserved.
	AfterPrepare Point = "after prepare"
	AtTake       Point = "take"
	// AfterTake: the snapshot is there.
	AfterTake   Point = "after take"
	AtClose     Point = "close"
	AtStat      Point = "stat"
	AtOpen      Point = "open"
	AtChanges   Point = "changes"
	AtCheckDrop Point = "check drop"
	AtDrop      Point = "drop"
	// AfterDrop: the snapshot is gone.
	AfterDrop     Point = "after drop"
	AtCheckRevert Point = "check revert"
	AtRevert      Point = "revert"
	// MidRevert: half of the disk is written.
	MidRevert Point = "mid revert"
	// AfterRevert: all of it is.
	AfterRevert Point = "after revert"
	// AtWrite and AtSync are those of a disk that the generic revert writes.
	AtWrite Point = "write"
	AtSync  Point = "sync"
)

type place struct {
	point  Point
	target string
}

// On runs hook whenever a verb on the disk with this target comes to the point. Its error becomes the verb's. A nil
// hook takes the one before away.
func (s *Store) On(point Point, target string, hook func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks[place{point, target}] = hook
}

// Fail is On with an error that is always the same; nil ends it.
func (s *Store) Fail(point Point, target string, err error) {
	s.On(point, target, func(context.Context) error { return err })
}

// reach runs the hook of a point, and stops a verb whose context has ended.
func (s *Store) reach(ctx context.Context, point Point, target string) error {
	s.mu.Lock()
	hook := s.hooks[place{point, target}]
	s.mu.Unlock()
	if hook != nil {
		if err := hook(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}
