package shield

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

const (
	// roomForEach is what has to be free for one overlay, or as much as its disk has where that is less.
	roomForEach = 1 << 30
	// reserve is the part of that which has to stay free.
	reserve = 4
	// lookEvery is how often the room is looked at.
	lookEvery = 200 * time.Millisecond
)

// ErrNoRoom: the guest writes more than there is room for. What is below the overlays was still until then.
var ErrNoRoom = errors.New("the overlays of the shield have no room left")

// Needed is the room that overlays of the sizes should have.
func Needed(sizes []int64) int64 {
	var sum int64
	for _, s := range sizes {
		sum += min(s, roomForEach)
	}
	return sum
}

// CheckRoom fails with methods.ErrBlocked where there is not enough.
func (f Folder) CheckRoom(needed int64) error {
	free, err := free(f.Dir)
	if err != nil {
		return err
	}
	if free < needed {
		return methods.Blockedf("the overlays of a shield need %d MiB in %s, and %d are free", needed>>20, f.Dir, free>>20)
	}
	return nil
}

// Watch gives a context that ends with ErrNoRoom before the overlays have no room left. Call stop in the end.
func (f Folder) Watch(ctx context.Context, needed int64) (_ context.Context, stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	go func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-watched.Done():
				return
			case <-tick.C:
			}
			if left, err := free(f.Dir); err == nil && left < needed/reserve {
				cancel(fmt.Errorf("%w: %d MiB in %s", ErrNoRoom, left>>20, f.Dir))
			}
		}
	}()
	return watched, func() { cancel(context.Canceled) }
}

// free is what the file system has left for a directory that need not be there yet.
func free(dir string) (int64, error) {
	for {
		var st unix.Statfs_t
		err := unix.Statfs(dir, &st)
		if err == nil {
			return int64(st.Bavail) * st.Bsize, nil
		}
		if !errors.Is(err, os.ErrNotExist) || dir == filepath.Dir(dir) {
			return 0, fmt.Errorf("look for room in %s: %w", dir, err)
		}
		dir = filepath.Dir(dir)
	}
}
