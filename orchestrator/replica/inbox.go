package replica

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
)

// inbox is an Inbox of a Store.
type inbox struct {
	domain, own folder
	locked      *os.File
	manifest    Manifest
	disks       map[string]*inboundDisk
}

// inboundDisk is one disk on its way.
type inboundDisk struct {
	*Disk
	data, sums *os.File
	// pending are the sums of what was put since the last sync.
	pending Pending
	// waiting is how much of that the kernel was not told to write yet.
	waiting int64
}

// writeOut is how much waits until the kernel is told to write it.
const writeOut = 1 << 20

// Manifest implements Inbox.
func (b *inbox) Manifest() Manifest {
	m := b.manifest
	m.Disks = slices.Clone(m.Disks)
	return m
}

func (b *inbox) write(ctx context.Context) error {
	return trace.Do(ctx, "write a replica's manifest", func() error { return writeManifest(b.own, &b.manifest) })
}

func (b *inbox) disk(target string) (*inboundDisk, error) {
	d, ok := b.disks[target]
	if !ok {
		return nil, fmt.Errorf("disk %.64q of the replica: %w", target, methods.ErrNotFound)
	}
	return d, nil
}

// Sums implements Inbox.
func (b *inbox) Sums(_ context.Context, r SumsRequest) ([]Sum, error) {
	d, err := b.disk(r.Disk)
	if err != nil {
		return nil, err
	}
	return r.Read(d.sums, d.Size)
}

// Put implements Inbox.
func (b *inbox) Put(ctx context.Context, p Piece) error {
	d, err := b.disk(p.Disk)
	if err != nil {
		return err
	}
	if err := p.Check(d.Disk); err != nil {
		return err
	}
	err = trace.Do(ctx, "write a replica's chunk", func() error { return d.put(p) })
	if err != nil {
		return fmt.Errorf("write chunk %d of disk %s: %w", p.Chunk, p.Disk, err)
	}
	d.pending.Put(p, d.Size)
	d.beginToWrite(int64(len(p.Data)))
	return nil
}

// beginToWrite has what was put go to the disk while more comes, so that the sync need not wait for all of it.
func (d *inboundDisk) beginToWrite(n int64) {
	if d.waiting += n; d.waiting < writeOut {
		return
	}
	d.waiting = 0
	_ = unix.SyncFileRange(int(d.data.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

func (d *inboundDisk) put(p Piece) error {
	at := p.Chunk * ChunkSize
	if (p.Sum == Sum{}) {
		return punch(d.data, at, chunkEnd(p.Chunk, d.Size)-at)
	}
	return p.Write(d.data)
}

// Sync implements Inbox.
func (b *inbox) Sync(ctx context.Context, disk string, done int64) error {
	d, err := b.disk(disk)
	if err != nil {
		return err
	}
	if err := d.CheckDone(done); err != nil {
		return err
	}
	if err := trace.Do(ctx, "sync a replica's disk", func() error { return d.sync(ctx) }); err != nil {
		return fmt.Errorf("sync disk %s: %w", disk, err)
	}
	d.Done = done
	return b.write(ctx)
}

func (d *inboundDisk) sync(ctx context.Context) error {
	if err := unix.Fdatasync(int(d.data.Fd())); err != nil {
		return err
	}
	// What is read is to come from the disk, as far as the kernel lets go of it.
	_ = unix.Fadvise(int(d.data.Fd()), 0, 0, unix.FADV_DONTNEED)
	again := d.pending
	if hasChecksums(d.data) {
		again = again.Sample()
	}
	if err := again.Check(ctx, methods.Bounded(d.data, d.Size)); err != nil {
		return err
	}
	if err := d.pending.Write(d.sums); err != nil {
		return err
	}
	clear(d.pending)
	return unix.Fdatasync(int(d.sums.Fd()))
}

// Finish implements Inbox.
func (b *inbox) Finish(ctx context.Context) error {
	if b.manifest.State == Complete {
		return nil
	}
	for _, d := range b.disks {
		if err := d.CheckWhole(d.pending); err != nil {
			return err
		}
		var err error
		if d.Root, err = RootOf(d.sums, d.Size); err != nil {
			return err
		}
	}
	b.manifest.State = Complete
	if err := b.write(ctx); err != nil {
		b.manifest.State = Inbound
		return err
	}
	return nil
}

// Close implements Inbox.
func (b *inbox) Close() error {
	var errs []error
	for _, d := range b.disks {
		errs = append(errs, closed(d.data), closed(d.sums))
	}
	if b.own.Root != nil {
		errs = append(errs, b.own.Close())
	}
	return errors.Join(append(errs, closed(b.locked), b.domain.Close())...)
}

func closed(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}
