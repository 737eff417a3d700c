package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// recheck reads what an earlier attempt wrote and had no time to read again. What is not what it was to be is sent again.
func (b *inbox) recheck(ctx context.Context) error {
	for _, d := range b.disks {
		if len(d.Unchecked) == 0 {
			continue
		}
		if err := d.recheck(ctx); err != nil {
			return fmt.Errorf("read disk %s again: %w", d.Target, err)
		}
		if err := b.write(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *disk) recheck(ctx context.Context) error {
	differs := replica.Pending{}
	for _, chunk := range d.Unchecked {
		err := d.recheckChunk(ctx, chunk)
		if errors.Is(err, methods.ErrDiffers) {
			differs[chunk] = replica.Put{Sum: replica.NoSum()}
		} else if err != nil {
			return err
		}
	}
	for chunk := range differs {
		d.Done = min(d.Done, chunk*replica.ChunkSize)
	}
	d.Unchecked = nil
	return d.record(ctx, differs)
}

func (d *disk) recheckChunk(ctx context.Context, chunk int64) error {
	sums, err := replica.SumsRequest{First: chunk, Count: 1}.Read(d.sums, d.Size)
	if err != nil {
		return err
	}
	return replica.Pending{chunk: {Sum: sums[0]}}.Check(ctx, d.content())
}
