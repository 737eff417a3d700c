package rbd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/domsnap/domsnap/methods"
)

// pieceSize is how much is copied at a time, and inFlight how many pieces at once.
const (
	pieceSize = 1 << 20
	inFlight  = 8
)

// do writes it, several pieces at once. It stops between two pieces when the context ends.
func (r rewrite) do(ctx context.Context, from io.ReaderAt, to writer, p methods.Progress) error {
	done := counter(p, r.bytes())
	err := each(ctx, slices.Values(r.fresh), func(e extent) error {
		defer done(e.length)
		return to.clear(e)
	})
	if err == nil {
		err = each(ctx, pieces(r.changed, pieceSize), func(e extent) error {
			defer done(e.length)
			return transfer(from, to, e)
		})
	}
	return errors.Join(err, to.flush())
}

// counter adds up what is done, by several at once.
func counter(p methods.Progress, total int64) func(int64) {
	var mu sync.Mutex
	var done int64
	return func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		done += n
		p.Report(done, total)
	}
}

// each does something with every extent, until the first error or the end of the context.
func each(ctx context.Context, extents iter.Seq[extent], do func(extent) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	places := make(chan struct{}, inFlight)
	for e := range extents {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-places }()
			if err := do(e); err != nil {
				stop(fmt.Errorf("write %d bytes at %d: %w", e.length, e.offset, err))
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// transfer copies content and clears what is zero.
func transfer(from io.ReaderAt, to writer, e extent) error {
	data := make([]byte, e.length)
	if _, err := from.ReadAt(data, e.offset); err != nil {
		return err
	}
	for _, run := range runs(data, e.offset, grain) {
		if err := put(to, run, data[run.offset-e.offset:][:run.length]); err != nil {
			return err
		}
	}
	return nil
}

func put(to writer, run extent, data []byte) error {
	if !run.exists {
		return to.clear(run)
	}
	_, err := to.WriteAt(data, run.offset)
	return err
}
