package rbd

import (
	"context"
	"io"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// connector opens a connection to the cluster that an image is in. Its error says which monitors were asked.
type connector func(methods.RBDImage) (cluster, error)

// cluster is one connection to Ceph, confined to one pool and namespace. Calls block until Ceph answers or
// the connection's own time limits end them.
type cluster interface {
	// read opens an image so that nobody notices: no watcher, no lock.
	read(image string) (reader, error)
	// write opens an image to change it. Until it is closed the cluster has a watcher for it.
	write(image string) (writer, error)
	// images are the names of all.
	images() ([]string, error)
	// create makes an image of zeroes; a plain one without the features that the configuration asks for.
	create(image string, size int64, plain bool) error
	remove(image string) error
	close()
}

// reader is an image that is only looked at.
type reader interface {
	describe() (description, error)
	// users are the other clients that have the image open or locked.
	users() (users, error)
	// silent are the watchers that do not answer a call within the limit. The call is the one that asks
	// every client to read the image's header again, as each change of the header does.
	silent(limit time.Duration) ([]client, error)
	// dependents says, for people, what keeps a snapshot from being removed.
	dependents(snap string) ([]string, error)
	// changed are the extents of whole objects that differ between two points in time, in order. An empty
	// from is the time before the image had any content, an empty to is the present. It fails with
	// ErrUnsupported where finding out would mean to ask for every object.
	changed(from, to string) ([]extent, error)
	// plain fails with ErrUnsupported where the content at a snapshot is not just the image's own objects, one
	// after the other: it is in part a parent's, or striped.
	plain(snap string) error
	// changedWithin are the extents in a range that differ between a snapshot and a later one, an empty to for the
	// present, in order. It asks each object.
	changedWithin(from, to string, in extent) ([]extent, error)
	// stay has the image read at a snapshot from now on. Nothing but that and close may follow.
	stay(snap string) (data, error)
	// noted is what writer.note put down; empty for nothing.
	noted(key string) (string, error)
	close() error
}

// data is what an image that is open holds. It may be read from several goroutines at once.
type data interface {
	io.ReaderAt
	methods.Gathering
}

// writer is an image that is open for changes.
type writer interface {
	reader
	// data is of the present, may be read and written from several goroutines at once, and so may clear.
	data
	io.WriterAt
	// WriteExtents writes data to extents of the image, one behind the other: it is as long as they are together. When it
	// fails it is not known what was written.
	WriteExtents(extents []methods.Extent, data []byte) error
	createSnap(name string) error
	removeSnap(name string) error
	// rollBack gives the image the content and the size of a snapshot.
	rollBack(name string) error
	// note puts a text down in the image's metadata; an empty one takes it away.
	note(key, text string) error
	// clear makes a range zero, to the byte. Objects of full size that are wholly in it are removed.
	clear(extent) error
	// flush makes durable what was written.
	flush() error
	resize(size int64) error
	// own keeps every other client from writing, until it is closed.
	own() error
}

// description is what an image's header says.
type description struct {
	size int64
	// snaps are the snapshots made by users, the oldest first: neither those of groups nor those that
	// are gone and kept for their clones.
	snaps []snapshot
	// ids are those of all snapshots there are, whoever made them. Younger ones have higher ids.
	ids []uint64
}

type snapshot struct {
	id   uint64
	name string
	size int64
}

// find is the place of a snapshot in the list, -1 when it is not in it.
func (d description) find(snap string) int {
	for i, s := range d.snaps {
		if s.name == snap {
			return i
		}
	}
	return -1
}

// id is that of the snapshot, 0 when there is none of that name.
func (d description) id(snap string) uint64 {
	if at := d.find(snap); at >= 0 {
		return d.snaps[at].id
	}
	return 0
}

// users are the clients that have something to do with an image.
type users struct {
	watchers []client
	// locks are those that a person or a program put there. The lock that librbd takes by itself to
	// write is none of them: its owner, if alive, is a watcher.
	locks []client
	// writing says that somebody has that lock.
	writing bool
}

// client is one client of the cluster.
type client struct {
	// id is unique in the cluster, as client.4148.
	id      string
	address string
}

func (c client) String() string { return c.id + " at " + c.address }

// extent is a range of an image, in bytes.
type extent struct {
	offset, length int64
	// exists is false where the later of the two points in time has nothing.
	exists bool
}

func (e extent) end() int64 { return e.offset + e.length }

// pause waits, or says why it did not.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
