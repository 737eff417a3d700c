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
func (s *Store) Verify(ctx context.Context, k Key) error {
	f, m, err := s.complete(k)
	if err != nil {
		return err
	}
	defer f.Close()
	for i := range m.Disks {
		if err := verify(ctx, f, &m.Disks[i]); err != nil {
			return fmt.Errorf("verify disk %s of the replica of snapshot %s: %w", m.Disks[i].Target, m.Name, err)
		}
	}
	return nil
}

func verify(ctx context.Context, f folder, d *Disk) (err error) {
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
	return d.Verify(ctx, methods.Bounded(data, d.Size), sums)
}

// Verify reads all of a complete disk. It fails with ErrBroken where that has other sums, or these are not the ones that were
// sent.
func (d *Disk) Verify(ctx context.Context, data methods.Content, sums io.ReaderAt) error {
	if root, err := RootOf(sums, d.Size); err != nil || root != d.Root {
		return errors.Join(fmt.Errorf("its sums: %w", methods.ErrBroken), err)
	}
	var page []Sum
	err := CheckChunks(ctx, data, []methods.Extent{{Length: d.Size}}, func(chunk int64) (Sum, error) {
		var err error
		if chunk%MaxSums == 0 {
			page, err = SumsRequest{First: chunk, Count: MaxSums}.Read(sums, d.Size)
		}
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
