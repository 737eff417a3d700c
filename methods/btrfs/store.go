package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// storeName is the directory next to a disk that holds the snapshots.
const storeName = ".domsnap"

// openStore fails with os.ErrNotExist when there is no store, and with ErrBlocked when somebody else could
// have put things into it.
func (p *place) openStore() (*os.File, error) {
	store, err := openBeneath(p.dir, storeName, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	if err := checkPrivate(store); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

func checkPrivate(store *os.File) error {
	st, err := stat(store)
	if err != nil {
		return err
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0 {
		return &methods.Blocked{
			What: fmt.Sprintf("%s belongs to user %d and has the mode %04o", store.Name(), st.Uid, st.Mode&0o7777),
			Hint: "look who made it; then chown root and chmod 0700 it",
		}
	}
	return nil
}

// makeStore opens the store and makes it first where needed. As long as the answer is open nobody removes it.
func (p *place) makeStore(ctx context.Context) (*os.File, error) {
	for ctx.Err() == nil {
		err := unix.Mkdirat(int(p.dir.Fd()), storeName, 0o700)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, fmt.Errorf("make %s in %s: %w", storeName, p.dir.Name(), err)
		}
		store, err := p.openStore()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ok, err := keepStore(store); ok || err != nil {
			return store, err
		}
		if err := store.Close(); err != nil {
			return nil, err
		}
	}
	return nil, ctx.Err()
}

// keepStore keeps dropStore away, and is false when that came first.
func keepStore(store *os.File) (bool, error) {
	if err := unix.Flock(int(store.Fd()), unix.LOCK_SH); err != nil {
		return false, fmt.Errorf("lock %s: %w", store.Name(), err)
	}
	st, err := stat(store)
	return st.Nlink > 0, err
}

// dropStore removes the store if it is empty and nobody is about to use it.
func (p *place) dropStore(store *os.File) error {
	err := unix.Flock(int(store.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", store.Name(), err)
	}
	// Removed by another meanwhile, the name may be a new store's, whose lock is another one.
	if st, err := stat(store); err != nil || st.Nlink == 0 {
		return err
	}
	err = unix.Unlinkat(int(p.dir.Fd()), storeName, unix.AT_REMOVEDIR)
	if err == nil || errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return fmt.Errorf("remove %s: %w", store.Name(), err)
}
