package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/export"
)

// Verify implements Place.
func (s *Store) Verify(ctx context.Context, k Key, progress methods.Progress) error {
	f, m, err := s.complete(k)
	if err != nil {
		return err
	}
	defer f.Close()
	return m.VerifyDisks(progress, func(d *Disk, progress methods.Progress) error { return verify(ctx, f, d, progress) })
}

// VerifyDisks verifies one disk after the other, each of which tells how far it is itself.
func (m *Manifest) VerifyDisks(progress methods.Progress, verify func(d *Disk, progress methods.Progress) error) error {
	before, total := int64(0), m.Size()
	for i := range m.Disks {
		d := &m.Disks[i]
		if err := verify(d, func(done, _ int64) { progress.Report(before+done, total) }); err != nil {
			return fmt.Errorf("verify disk %s of the replica of snapshot %s: %w", d.Target, m.Name, err)
		}
		before += d.Size
	}
	return nil
}

func verify(ctx context.Context, f folder, d *Disk, progress methods.Progress) (err error) {
	data, err := f.regular(d.Target+dataSuffix, os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("%w: %w", methods.ErrBroken, err)
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	sums, err := f.regular(d.Target+sumsSuffix, os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("%w: %w", methods.ErrBroken, err)
	}
	defer func() { err = errors.Join(err, sums.Close()) }()
	return d.Verify(ctx, Stored{methods.Bounded(data, d.Size), sums}, progress)
}

// Stored is a disk of a replica where it is kept.
type Stored struct {
	Data methods.Content
	Sums io.ReaderAt
}

// Verify reads all of a complete disk. It fails with ErrBroken where that has other sums, or these are not the ones that were
// sent.
func (d *Disk) Verify(ctx context.Context, s Stored, progress methods.Progress) error {
	if root, err := RootOf(s.Sums, d.Size); err != nil || root != d.Root {
		return errors.Join(fmt.Errorf("its sums: %w", methods.ErrBroken), err)
	}
	var page []Sum
	err := CheckChunks(ctx, s.Data, []methods.Extent{{Length: d.Size}}, func(chunk int64) (Sum, error) {
		var err error
		if chunk%MaxSums == 0 {
			page, err = SumsRequest{First: chunk, Count: MaxSums}.Read(s.Sums, d.Size)
		}
		progress.Report(chunkEnd(chunk, d.Size), d.Size)
		if err != nil {
			return Sum{}, err
		}
		return page[chunk%MaxSums], nil
	})
	if errors.Is(err, methods.ErrDiffers) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EIO) {
		return fmt.Errorf("%w: %w", methods.ErrBroken, err)
	}
	return err
}

// CheckChunks reads extents, ascending, that begin and end with chunks or the disk. It fails with ErrDiffers at the first chunk
// that has another sum than wanted.
func CheckChunks(ctx context.Context, data methods.Content, extents []methods.Extent, want func(chunk int64) (Sum, error)) error {
	return export.Read(ctx, data, extents, func(text []byte, at int64) error {
		for ; len(text) > 0; at += ChunkSize {
			chunk := text[:min(ChunkSize, len(text))]
			sum, err := want(at / ChunkSize)
			if err != nil {
				return err
			}
			if SumOf(chunk) != sum {
				return fmt.Errorf("chunk %d here and what was sent: %w", at/ChunkSize, methods.ErrDiffers)
			}
			text = text[len(chunk):]
		}
		return nil
	})
}
