package methods

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/domsnap/domsnap/methods/trace"
)

// block is what the generic revert reads and compares at a time, page what it writes at least.
const (
	block = 1 << 20
	page  = 64 << 10
)

// checkGeneric makes sure that the snapshot can be read and the disk be written, and asks whether the storage knows
// what differs.
func checkGeneric(ctx context.Context, m Method, req RevertRequest) (How, error) {
	p, err := openPair(ctx, m, req)
	if err != nil {
		return "", err
	}
	if err := p.close(); err != nil {
		return "", err
	}
	_, how, err := changed(ctx, m, req)
	return how, err
}

// changed lists what has to be looked at for a revert: what the storage says differs, or everything.
func changed(ctx context.Context, m Method, req RevertRequest) ([]Extent, How, error) {
	if req.How == HowCompare {
		return Whole(), HowCompare, nil
	}
	extents, err := Changes(ctx, m, ChangesRequest{From: req.To, Disk: req.Disk})
	if errors.Is(err, ErrUnsupported) {
		return Whole(), HowCompare, nil
	}
	return extents, HowChangedExtents, err
}

// revertGenerically writes into the disk where it differs from the snapshot. Done again it finds less to write.
func revertGenerically(ctx context.Context, m Method, req RevertRequest) (_ Reverted, err error) {
	extents, how, err := changed(ctx, m, req)
	if err != nil {
		return Reverted{}, err
	}
	p, err := openPair(ctx, m, req)
	if err != nil {
		return Reverted{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	err = p.eachBlock(ctx, extents, req.Progress, func(e Extent, want, got []byte) error {
		return trace.Do(ctx, "write the disk", func() error { return p.restore(e, want, got) })
	})
	if err == nil {
		err = p.disk.Sync()
	}
	return Reverted{How: how, BytesWritten: p.written}, err
}

// Verify reads the extents of the disk and of the snapshot, says how many bytes that were, and fails with ErrDiffers
// where they are not the same. The domain is off.
func Verify(ctx context.Context, m Method, req RevertRequest, extents []Extent) (read int64, err error) {
	p, err := openPair(ctx, m, req)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	return TotalLength(within(extents, p.disk.Size())), p.eachBlock(ctx, extents, req.Progress, func(e Extent, want, got []byte) error {
		if !bytes.Equal(want, got) {
			return fmt.Errorf("verify %d bytes at %d: disk and snapshot: %w", e.Length, e.Offset, ErrDiffers)
		}
		return nil
	})
}

// pair is a snapshot and the disk it is compared with.
type pair struct {
	snapshot Content
	disk     Writable
	written  int64
}

func openPair(ctx context.Context, m Method, req RevertRequest) (*pair, error) {
	if err := checkOff(req.Disk); err != nil {
		return nil, err
	}
	if req.Disks == nil {
		return nil, unsupported(m, "revert")
	}
	snapshot, err := m.Open(ctx, req.To)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %s: %w", req.To.Name, err)
	}
	disk, err := req.Disks.OpenDisk(ctx, req.Disk)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open disk %s: %w", req.Disk.Target, err), snapshot.Close())
	}
	p := &pair{snapshot: snapshot, disk: disk}
	if size := disk.Size(); snapshot.Size() != size || req.Disk.Format == "raw" && size != req.To.Size {
		err := Blockedf("disk %s has %d bytes, its snapshot %d, and it was taken of %d", req.Disk.Target, size, snapshot.Size(), req.To.Size)
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *pair) close() error {
	return errors.Join(p.snapshot.Close(), p.disk.Close())
}

// eachBlock reads both sides piece by piece.
func (p *pair) eachBlock(ctx context.Context, extents []Extent, progress Progress, do func(e Extent, want, got []byte) error) error {
	extents = within(extents, p.disk.Size())
	total, done := TotalLength(extents), int64(0)
	want, got := make([]byte, block), make([]byte, block)
	for _, e := range extents {
		for e.Length > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			piece := Extent{e.Offset, min(e.Length, block)}
			w, g := want[:piece.Length], got[:piece.Length]
			if err := errors.Join(readFull(p.snapshot, w, piece.Offset), readFull(p.disk, g, piece.Offset)); err != nil {
				return err
			}
			if err := do(piece, w, g); err != nil {
				return err
			}
			e.Offset, e.Length = e.Offset+piece.Length, e.Length-piece.Length
			done += piece.Length
			progress.Report(done, total)
		}
	}
	return nil
}

// readFull reads all of buf, also where the content ends with it.
func readFull(c Content, buf []byte, offset int64) error {
	n, err := c.ReadAt(buf, offset)
	if n == len(buf) {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(buf), offset, err)
}

// restore writes the pages that differ.
func (p *pair) restore(e Extent, want, got []byte) error {
	for at := 0; at < len(want); at += page {
		end := min(at+page, len(want))
		if bytes.Equal(want[at:end], got[at:end]) {
			continue
		}
		n, err := p.disk.WriteAt(want[at:end], e.Offset+int64(at))
		p.written += int64(n)
		if err != nil {
			return fmt.Errorf("write %d bytes at %d: %w", end-at, e.Offset+int64(at), err)
		}
	}
	return nil
}
