package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// inbox is a replica on its way.
type inbox struct {
	place    Place
	manifest replica.Manifest
	disks    map[string]*disk
}

// disk is one disk of it, and its images.
type disk struct {
	*replica.Disk
	name       string
	data, sums Writer
	// head is what was noted of the head when the images were opened; fresh, that there were none.
	head  head
	fresh bool
	// pending are the sums of what was put since the last sync; written, that something was that is no hole.
	pending replica.Pending
	written bool
	// snapped: both snapshots are taken, and nothing was written since.
	snapped bool
	writes  sync.WaitGroup
	// next is the batch that pieces are put into, free are those that are not being written.
	next   *batch
	free   chan *batch
	mu     sync.Mutex
	failed error
}

// Manifest implements replica.Inbox.
func (b *inbox) Manifest() replica.Manifest {
	m := b.manifest
	m.Disks = slices.Clone(m.Disks)
	return m
}

// main is the image that the manifest is with.
func (b *inbox) main() Writer { return b.disks[b.manifest.Disks[0].Target].data }

func (b *inbox) write(ctx context.Context) error {
	return trace.Do(ctx, "write a replica's manifest", func() error { return writeManifest(ctx, b.main(), &b.manifest) })
}

func (b *inbox) disk(target string) (*disk, error) {
	d, ok := b.disks[target]
	if !ok {
		return nil, fmt.Errorf("disk %.64q of the replica: %w", target, methods.ErrNotFound)
	}
	return d, nil
}

// Sums implements replica.Inbox.
func (b *inbox) Sums(_ context.Context, r replica.SumsRequest) ([]replica.Sum, error) {
	d, err := b.disk(r.Disk)
	if err != nil {
		return nil, err
	}
	return r.Read(d.sums, d.Size)
}

// Put implements replica.Inbox. Pieces are written in batches, and others put meanwhile.
func (b *inbox) Put(ctx context.Context, p replica.Piece) error {
	d, err := b.disk(p.Disk)
	if err != nil {
		return err
	}
	if err := p.Check(d.Disk); err != nil {
		return err
	}
	if err := d.error(); err != nil {
		return err
	}
	d.pending.Put(p, d.Size)
	d.snapped = false
	d.written = d.written || len(p.Data) > 0
	d.next.add(p)
	if d.next.pieces == batchSize {
		d.write(ctx)
	}
	return nil
}

// write begins to write what was put, once there is a batch for what comes next.
func (d *disk) write(ctx context.Context) {
	if d.next.pieces == 0 {
		return
	}
	now := d.next
	d.next = (<-d.free).empty()
	d.begin("write", func() error {
		defer func() { d.free <- now }()
		return trace.Do(ctx, "write a replica's chunks", func() error { return now.write(d.data, d.Size) })
	})
}

// durable returns when all that was put is.
func (d *disk) durable(ctx context.Context) error {
	d.write(ctx)
	d.writes.Wait()
	return errors.Join(d.error(), d.data.Flush(ctx))
}

func (d *disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == nil {
		d.failed = err
	}
}

func (d *disk) error() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// Sync implements replica.Inbox.
func (b *inbox) Sync(ctx context.Context, disk string, done int64) error {
	d, err := b.disk(disk)
	if err != nil {
		return err
	}
	if err := d.CheckDone(done); err != nil {
		return err
	}
	sync := d.sync
	if done == d.Size {
		sync = func(ctx context.Context) error { return b.syncLast(ctx, d) }
	}
	if err := trace.Do(ctx, "sync a replica's disk", func() error { return sync(ctx) }); err != nil {
		return fmt.Errorf("sync disk %s: %w", disk, err)
	}
	d.Done = done
	return b.write(ctx)
}

// sync checks and records what was put.
func (d *disk) sync(ctx context.Context) error {
	if err := d.durable(ctx); err != nil {
		return err
	}
	if err := d.check(ctx); err != nil {
		return err
	}
	if err := d.record(ctx); err != nil {
		return err
	}
	clear(d.pending)
	return nil
}

// syncLast has the snapshots taken as well, both at once: the monitors, who number them, have a second between two decisions.
// Until the manifest says that the replica is complete a snapshot means nothing.
func (b *inbox) syncLast(ctx context.Context, d *disk) error {
	if err := d.sync(ctx); err != nil {
		return err
	}
	if err := errors.Join(d.touch(ctx), d.root()); err != nil {
		return err
	}
	d.snap(ctx, snapOf(b.manifest.Snapshot))
	d.writes.Wait()
	d.snapped = d.error() == nil
	return d.error()
}

// snap has the snapshots of both images taken; the error comes with the next wait.
func (d *disk) snap(ctx context.Context, name string) {
	for _, image := range []Writer{d.data, d.sums} {
		d.begin("snapshot", func() error { return snapshot(ctx, image, name) })
	}
}

func (d *disk) root() (err error) {
	d.Root, err = replica.RootOf(d.sums, d.Size)
	return err
}

// begin has something done that touches an image, whose error comes with the next wait.
func (d *disk) begin(act string, do func() error) {
	d.writes.Go(func() {
		if err := do(); err != nil {
			d.fail(fmt.Errorf("%s disk %s: %w", act, d.Target, err))
		}
	})
}

// check reads a sample of what was put again: Ceph has checksums of its own, on the way and on the disks.
func (d *disk) check(ctx context.Context) error {
	return d.pending.Sample().Check(ctx, content{d.data, d.Size})
}

// record writes the sums of what was put, durably.
func (d *disk) record(ctx context.Context) error {
	if err := d.pending.Write(d.sums); err != nil {
		return err
	}
	return d.sums.Flush(ctx)
}

// content is the head as what can be read. It stays open when that is closed.
type content struct {
	Writer
	size int64
}

func (c content) Size() int64 { return c.size }

func (content) Close() error { return nil }

// Finish implements replica.Inbox.
func (b *inbox) Finish(ctx context.Context) error {
	if b.manifest.State == replica.Complete {
		return nil
	}
	for _, d := range b.disks {
		if err := d.CheckWhole(d.pending); err != nil {
			return err
		}
	}
	if err := b.snapshots(ctx); err != nil {
		return err
	}
	b.manifest.State = replica.Complete
	if err := b.write(ctx); err != nil {
		b.manifest.State = replica.Inbound
		return err
	}
	return nil
}

// snapshots takes those that are missing at once.
func (b *inbox) snapshots(ctx context.Context) error {
	for _, d := range b.disks {
		if d.snapped {
			continue
		}
		if err := errors.Join(d.touch(ctx), d.root()); err != nil {
			return fmt.Errorf("finish disk %s: %w", d.Target, err)
		}
		d.snap(ctx, snapOf(b.manifest.Snapshot))
	}
	var errs []error
	for _, d := range b.disks {
		d.writes.Wait()
		errs = append(errs, d.error())
	}
	return errors.Join(errs...)
}

// touch writes a block again where nothing was written, so that a rollback to this replica shows in the object map.
func (d *disk) touch(ctx context.Context) error {
	if d.written {
		return nil
	}
	block := make([]byte, min(4096, d.Size))
	if n, err := d.data.ReadAt(block, 0); n < len(block) {
		return err
	}
	if _, err := d.data.WriteAt(block, 0); err != nil {
		return err
	}
	d.written = true
	return d.data.Flush(ctx)
}

// snapshot takes one in the place of what is left of an earlier attempt.
func snapshot(ctx context.Context, image Writer, snap string) error {
	return trace.Do(ctx, "snapshot a replica's image", func() error {
		err := image.CreateSnapshot(ctx, snap)
		if !errors.Is(err, methods.ErrExists) {
			return err
		}
		if err := image.RemoveSnapshot(ctx, snap); err != nil {
			return err
		}
		return image.CreateSnapshot(ctx, snap)
	})
}

// Close implements replica.Inbox.
func (b *inbox) Close() error {
	var errs []error
	for _, d := range b.disks {
		d.writes.Wait()
		for _, image := range []Writer{d.data, d.sums} {
			if image != nil {
				errs = append(errs, image.Close())
			}
		}
	}
	return errors.Join(errs...)
}
