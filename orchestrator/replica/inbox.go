package replica

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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
	pending map[int64]Sum
}

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
	if r.First < 0 || r.Count < 0 || r.Count > MaxSums {
		return nil, fmt.Errorf("read %d sums from %d: there are none", r.Count, r.First)
	}
	count := max(0, min(r.Count, chunks(d.Size)-r.First))
	return readSums(d.sums, r.First, count)
}

func readSums(from io.ReaderAt, first, count int64) ([]Sum, error) {
	text := make([]byte, count*sumSize)
	if n, err := from.ReadAt(text, first*sumSize); n < len(text) {
		return nil, fmt.Errorf("read %d sums from %d: %w", count, first, err)
	}
	sums := make([]Sum, count)
	for i := range sums {
		copy(sums[i][:], text[i*sumSize:])
	}
	return sums, nil
}

// Put implements Inbox.
func (b *inbox) Put(ctx context.Context, p Piece) error {
	d, err := b.disk(p.Disk)
	if err != nil {
		return err
	}
	if err := p.check(d.Disk); err != nil {
		return err
	}
	err = trace.Do(ctx, "write a replica's chunk", func() error { return d.put(p) })
	if err != nil {
		return fmt.Errorf("write chunk %d of disk %s: %w", p.Chunk, p.Disk, err)
	}
	d.pending[p.Chunk] = p.Sum
	return nil
}

func (p Piece) check(d *Disk) error {
	if p.Chunk < 0 || p.Chunk >= chunks(d.Size) {
		return fmt.Errorf("write chunk %d of disk %s: it has %d", p.Chunk, d.Target, chunks(d.Size))
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

func (d *inboundDisk) put(p Piece) error {
	at := p.Chunk * ChunkSize
	if (p.Sum == Sum{}) {
		return punch(d.data, at, chunkEnd(p.Chunk, d.Size)-at)
	}
	data := p.Data
	for _, e := range p.Extents {
		if _, err := d.data.WriteAt(data[:e.Length], e.Offset); err != nil {
			return err
		}
		data = data[e.Length:]
	}
	return nil
}

// Sync implements Inbox.
func (b *inbox) Sync(ctx context.Context, disk string, done int64) error {
	d, err := b.disk(disk)
	if err != nil {
		return err
	}
	if done < d.Done || done > d.Size || done%ChunkSize != 0 && done != d.Size {
		return fmt.Errorf("sync disk %s: %d bytes cannot be done", disk, done)
	}
	if err := trace.Do(ctx, "sync a replica's disk", d.sync); err != nil {
		return fmt.Errorf("sync disk %s: %w", disk, err)
	}
	d.Done = done
	return b.write(ctx)
}

func (d *inboundDisk) sync() error {
	if err := unix.Fdatasync(int(d.data.Fd())); err != nil {
		return err
	}
	// What is read is to come from the disk, as far as the kernel lets go of it.
	_ = unix.Fadvise(int(d.data.Fd()), 0, 0, unix.FADV_DONTNEED)
	for chunk, want := range d.pending {
		if err := checkChunk(d.data, d.Disk, chunk, want); err != nil {
			return err
		}
	}
	for chunk, sum := range d.pending {
		if _, err := d.sums.WriteAt(sum[:], chunk*sumSize); err != nil {
			return err
		}
	}
	clear(d.pending)
	return unix.Fdatasync(int(d.sums.Fd()))
}

func checkChunk(data io.ReaderAt, d *Disk, chunk int64, want Sum) error {
	at := chunk * ChunkSize
	text := make([]byte, chunkEnd(chunk, d.Size)-at)
	if n, err := data.ReadAt(text, at); n < len(text) {
		return fmt.Errorf("read chunk %d again: %w", chunk, err)
	}
	if SumOf(text) != want {
		return fmt.Errorf("chunk %d here and what was sent: %w", chunk, methods.ErrDiffers)
	}
	return nil
}

// Finish implements Inbox.
func (b *inbox) Finish(ctx context.Context) error {
	if b.manifest.State == Complete {
		return nil
	}
	for target, d := range b.disks {
		if d.Done != d.Size || len(d.pending) > 0 {
			return fmt.Errorf("finish the replica: of disk %s %d bytes are done of %d", target, d.Done, d.Size)
		}
		var err error
		if d.Root, err = rootOf(d.sums, d.Size); err != nil {
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

// rootOf is the sum of all sums.
func rootOf(sums io.ReaderAt, size int64) (string, error) {
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(sums, 0, chunks(size)*sumSize))
	if err == nil && n != chunks(size)*sumSize {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", fmt.Errorf("read the sums: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
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
