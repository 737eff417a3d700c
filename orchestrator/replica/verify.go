package replica

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/domsnap/domsnap/methods"
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
	if root, err := rootOf(sums, d.Size); err != nil || root != d.Root {
		return errors.Join(fmt.Errorf("its sums: %w", methods.ErrBroken), err)
	}
	for first := int64(0); first < chunks(d.Size); first += MaxSums {
		page, err := readSums(sums, first, min(MaxSums, chunks(d.Size)-first))
		if err != nil {
			return err
		}
		for i, want := range page {
			if err := errors.Join(ctx.Err(), checkChunk(data, d, first+int64(i), want)); err != nil {
				return fmt.Errorf("%w: %w", methods.ErrBroken, err)
			}
		}
	}
	return nil
}
