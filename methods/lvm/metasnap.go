package lvm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// metadataTag is on a pool while a metadata snapshot of it is ours. A pool has one at most, and keeps it over the end
// of a process and a restart of the host; one that the tag says is ours while nobody holds the lock is nobody's any
// more.
const metadataTag = "domsnap.metadata_snap"

// pollLock is how often it is tried to get the lock of a pool.
const pollLock = 50 * time.Millisecond

// withMetadataSnap gives the pool a metadata snapshot, which can be read while the pool works, until do returns. It
// fails with ErrUnsupported where there is one that somebody else made.
func (m *Method) withMetadataSnap(ctx context.Context, pool name, do func() error) (err error) {
	lock, err := m.lockPool(ctx, pool)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := m.reserve(ctx, pool); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.release(context.WithoutCancel(ctx), pool)) }()
	return do()
}

// lockPool waits for others of us. The lock goes with the process that has it.
func (m *Method) lockPool(ctx context.Context, pool name) (*os.File, error) {
	f, err := os.OpenFile(m.metadata(pool), os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, methods.Unsupportedf("thin pool %s is not active", pool)
	}
	if err != nil {
		return nil, fmt.Errorf("lock thin pool %s: %w", pool, err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock thin pool %s: %w", pool, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for thin pool %s: %w", pool, ctx.Err()), f.Close())
		case <-time.After(pollLock):
		}
	}
}

// reserve puts the tag on the pool first, so that no metadata snapshot of ours is without it.
func (m *Method) reserve(ctx context.Context, pool name) error {
	g, err := m.group(ctx, pool.group)
	if err != nil {
		return err
	}
	if v, _ := g.find(pool.volume); v.Tags.has(metadataTag) {
		// There may be none: the process may have ended before it had one.
		_ = m.tell(ctx, pool, "release_metadata_snap")
	}
	if err := m.tagPool(ctx, pool, "--addtag"); err != nil {
		return err
	}
	err = m.tell(ctx, pool, "reserve_metadata_snap")
	if err == nil {
		return nil
	}
	err = fmt.Errorf("reserve a metadata snapshot of thin pool %s (whose it is, if there is one, nobody says; "+
		"dmsetup message %s 0 release_metadata_snap ends it): %w: %w", pool, thinPoolDevice(pool), err, methods.ErrUnsupported)
	return errors.Join(err, m.tagPool(context.WithoutCancel(ctx), pool, "--deltag"))
}

func (m *Method) release(ctx context.Context, pool name) error {
	if err := m.tell(ctx, pool, "release_metadata_snap"); err != nil {
		return fmt.Errorf("release the metadata snapshot of thin pool %s: %w", pool, err)
	}
	return m.tagPool(ctx, pool, "--deltag")
}

// tell sends a message to the pool's target.
func (m *Method) tell(ctx context.Context, pool name, message string) error {
	return m.change(ctx, "dmsetup", "message", thinPoolDevice(pool), "0", message)
}

// tagPool leaves out the copies of the group's metadata: the tag is there for a moment.
func (m *Method) tagPool(ctx context.Context, pool name, flag string) error {
	if err := m.change(ctx, "lvchange", "--config", "backup/backup=0 backup/archive=0", flag, metadataTag, pool.String()); err != nil {
		return fmt.Errorf("mark thin pool %s: %w", pool, err)
	}
	return nil
}

// thinPoolDevice is device-mapper's name of what takes a pool's messages.
func thinPoolDevice(pool name) string { return pool.mapped() + "-tpool" }

// metadata is the device with a pool's metadata.
func (m *Method) metadata(pool name) string {
	return m.dev + "/mapper/" + pool.sibling(pool.volume+"_tmeta").mapped()
}
