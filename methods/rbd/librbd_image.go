//go:build rbd

package rbd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ceph/go-ceph/rados"
	"github.com/ceph/go-ceph/rbd"

	"github.com/domsnap/domsnap/methods"
)

// readImage is an image that is open for reading: without a watcher.
type readImage struct {
	*rbd.Image
	connection *connection
	// moved is when it was opened, or began to be read at a snapshot or the present.
	moved time.Time
}

// settled is how long librbd's threads get to be done with the parent of a clone.
const settled = 100 * time.Millisecond

// close lets a clone settle first.
func (i *readImage) close() error {
	i.settle()
	return typed(i.Close())
}

// move has the image read at a snapshot, empty for the present.
func (i *readImage) move(snap string) error {
	i.settle()
	defer func() { i.moved = time.Now() }()
	return i.SetSnapshot(snap)
}

// settle waits a moment, unless that is over, with what changes or closes the parent of a clone. librbd says that the parent is
// open before the thread that says so is done with it (complete_action_unlock in its ImageState.cc); were it freed by then, the
// process would die or hang. One thread for all (librados_thread_count) is no way out: librbd has calls that need two.
func (i *readImage) settle() {
	if _, err := i.GetParent(); err == nil {
		time.Sleep(settled - time.Since(i.moved))
	}
}

func (i *readImage) describe() (description, error) {
	size, err := i.GetSize()
	if err != nil {
		return description{}, typed(err)
	}
	all, err := i.GetSnapshotNames()
	if err != nil {
		return description{}, typed(err)
	}
	found := description{size: int64(size)}
	for _, s := range all {
		space, err := i.GetSnapNamespaceType(s.Id)
		if err != nil {
			return description{}, typed(err)
		}
		if space == rbd.SnapNamespaceTypeUser {
			found.snaps = append(found.snaps, snapshot{s.Id, s.Name, int64(s.Size)})
		}
		found.ids = append(found.ids, s.Id)
	}
	return found, nil
}

// users leaves out this connection, which is a watcher too while the image is open for changes.
func (i *readImage) users() (users, error) {
	var by users
	watchers, err := i.ListWatchers()
	if err != nil {
		return by, typed(err)
	}
	for _, w := range watchers {
		if uint64(w.Id) != i.connection.conn.GetInstanceID() {
			by.watchers = append(by.watchers, client{clientID(w.Id), w.Addr})
		}
	}
	_, lockers, err := i.ListLockers()
	for _, l := range lockers {
		if strings.HasPrefix(l.Cookie, "auto ") {
			by.writing = true
		} else {
			by.locks = append(by.locks, client{l.Client, l.Addr})
		}
	}
	return by, typed(err)
}

func clientID(instance int64) string { return fmt.Sprintf("client.%d", instance) }

// silent sends the oldest notification there is, an empty one, to the header.
func (i *readImage) silent(limit time.Duration) ([]client, error) {
	header, err := i.header()
	if err != nil {
		return nil, err
	}
	_, late, err := i.connection.ioctx.NotifyWithTimeout(header, nil, limit)
	if len(late) == 0 {
		return nil, typed(err)
	}
	return i.named(late)
}

func (i *readImage) header() (string, error) {
	old, err := i.IsOldFormat()
	if err != nil {
		return "", typed(err)
	}
	if old {
		return i.GetName() + ".rbd", nil
	}
	id, err := i.GetId()
	return "rbd_header." + id, typed(err)
}

// named finds the addresses of those that are still watchers.
func (i *readImage) named(late []rados.NotifyTimeout) ([]client, error) {
	watchers, err := i.ListWatchers()
	if err != nil {
		return nil, typed(err)
	}
	isLate := make(map[int64]bool, len(late))
	for _, l := range late {
		isLate[int64(l.NotifierID)] = true
	}
	var silent []client
	for _, w := range watchers {
		if isLate[w.Id] {
			silent = append(silent, client{clientID(w.Id), w.Addr})
		}
	}
	return silent, nil
}

// writeImage is an image that is open for changes.
type writeImage struct{ *readImage }

func (i *writeImage) createSnap(name string) error {
	_, err := i.CreateSnapshot(name)
	return typed(err)
}

func (i *writeImage) removeSnap(name string) error { return typed(i.GetSnapshot(name).Remove()) }

func (i *writeImage) rollBack(name string) error { return typed(i.GetSnapshot(name).Rollback()) }

func (i *writeImage) note(key, text string) error {
	if text == "" {
		err := typed(i.RemoveMetadata(key))
		if errors.Is(err, methods.ErrNotFound) {
			return nil
		}
		return err
	}
	return typed(i.SetMetadata(key, text))
}

// zeroes is what clear repeats.
var zeroes [4096]byte

// clear repeats zeroes, which librbd does by removing or truncating objects where it can. A discard would leave what
// is not a multiple of the discard granularity as it is. An object that the end of the image cuts short stays, empty.
func (i *writeImage) clear(e extent) error {
	// Of the powers of two that divide the length, the largest that there are zeroes for.
	block := min(e.length&-e.length, int64(len(zeroes)))
	_, err := i.WriteSame(uint64(e.offset), uint64(e.length), zeroes[:block], rados.OpFlagNone)
	return typed(err)
}

func (i *writeImage) flush() error { return typed(i.Flush()) }
