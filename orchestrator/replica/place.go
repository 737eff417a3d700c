package replica

import (
	"context"
	"fmt"
	"io"

	"github.com/domsnap/domsnap/methods"
)

// Key names a replica.
type Key struct {
	// Domain is a UUID, Snapshot an id.
	Domain   string `json:"domain"`
	Snapshot string `json:"snapshot"`
}

// Place is where replicas are kept.
type Place interface {
	// List gives the replicas of a domain, or of all where uuid is empty, the oldest first. One whose manifest makes no sense
	// is in the state broken, and has nothing but its key.
	List(ctx context.Context, uuid string) ([]Manifest, error)
	// Begin makes a replica, or goes on with it. It fails with ErrBlocked while somebody else is at work on the domain's.
	Begin(ctx context.Context, m Manifest) (Inbox, error)
	// Open reads a disk of a complete replica. It fails with ErrNotFound.
	Open(ctx context.Context, k Key, disk string) (methods.Content, error)
	// Verify reads all of a complete replica, and tells how far it is with all disks of it together. It fails with ErrBroken
	// where that is not what was sent.
	Verify(ctx context.Context, k Key, progress methods.Progress) error
	// Remove takes a replica away, complete or not. One that is not there is no error.
	Remove(ctx context.Context, k Key) error
	Close() error
}

// Inbox is a replica on its way. Its calls come one after the other.
type Inbox interface {
	// Manifest says what is there already. One that is complete takes nothing more.
	Manifest() Manifest
	// Sums are those of count chunks of a disk, as it is now; fewer at its end.
	Sums(ctx context.Context, r SumsRequest) ([]Sum, error)
	// Put writes a part of a chunk, or makes a hole of it. Its error may come with the next Sync.
	Put(ctx context.Context, p Piece) error
	// Sync makes durable what was put, checks that it is what it is said to be, by a sample where the storage has checksums of
	// its own, and records that the disk is done up to an offset. It fails with ErrDiffers.
	Sync(ctx context.Context, disk string, done int64) error
	// Finish says that all disks are done.
	Finish(ctx context.Context) error
	// Close lets others at work on the domain's replicas. One that is not complete stays as it is.
	Close() error
}

// SumsRequest asks for Count sums from the chunk First on.
type SumsRequest struct {
	Disk         string
	First, Count int64
}

// Read reads them from where the sums of a disk of this size are.
func (r SumsRequest) Read(sums io.ReaderAt, size int64) ([]Sum, error) {
	if r.First < 0 || r.Count < 0 || r.Count > MaxSums {
		return nil, fmt.Errorf("read %d sums from %d: there are none", r.Count, r.First)
	}
	return readSums(sums, r.First, max(0, min(r.Count, Chunks(size)-r.First)))
}

// Piece is what a chunk gets.
type Piece struct {
	Disk  string
	Chunk int64
	// Sum is that of the whole chunk as it is then; the zero Sum makes a hole of it.
	Sum Sum
	// Extents of the chunk, in bytes of the disk, ascending and apart, and their content in one.
	Extents []methods.Extent
	// Data is the caller's again when Put returns.
	Data []byte
}

// Check fails where a piece is none of the disk.
func (p Piece) Check(d *Disk) error {
	if p.Chunk < 0 || p.Chunk >= Chunks(d.Size) {
		return fmt.Errorf("write chunk %d of disk %s: it has %d", p.Chunk, d.Target, Chunks(d.Size))
	}
	at, total := p.Chunk*ChunkSize, int64(0)
	for _, e := range p.Extents {
		if e.Offset < at || e.Length <= 0 || e.Length > ChunkSize || e.End() > chunkEnd(p.Chunk, d.Size) {
			return fmt.Errorf("write %d bytes at %d: they are not in chunk %d", e.Length, e.Offset, p.Chunk)
		}
		at, total = e.End(), total+e.Length
	}
	if total != int64(len(p.Data)) || (p.Sum == Sum{}) != (total == 0) {
		return fmt.Errorf("write %d bytes of chunk %d: there are %d", total, p.Chunk, len(p.Data))
	}
	return nil
}

// Write writes what the chunk gets to where the disk's content is.
func (p Piece) Write(to io.WriterAt) error { return methods.EachPart(p.Extents, p.Data, to.WriteAt) }
