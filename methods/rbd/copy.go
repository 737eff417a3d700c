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
	"github.com/domsnap/domsnap/methods/trace"
)

// pieceSize is how much is copied at a time, and inFlight how many pieces at once. Together they are the memory that
// it takes.
const (
	pieceSize = 1 << 20
	inFlight  = 8
)

// do writes it, several pieces at once. It stops between two pieces when the context ends.
func (r rewrite) do(ctx context.Context, from io.ReaderAt, to writer, p methods.Progress) error {
	done := counter(p, r.bytes())
	err := each(ctx, slices.Values(r.fresh), func(e extent, _ []byte) error {
		defer done(e.length)
		return to.clear(e)
	})
	if err == nil {
		err = each(ctx, pieces(r.changed, pieceSize), func(e extent, buffer []byte) error {
			defer done(e.length)
			return transfer(from, to, e, buffer[:e.length])
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

// each does something with every extent, until the first error or the end of the context. Each at work has a buffer
// for one piece.
func each(ctx context.Context, extents iter.Seq[extent], do func(extent, []byte) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	free := buffers()
	for e := range extents {
		buffer := <-free
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { free <- buffer }()
			if err := trace.Do(ctx, "rbd: write", func() error { return do(e, buffer) }); err != nil {
				stop(fmt.Errorf("write %d bytes at %d: %w", e.length, e.offset, err))
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// buffers are used again and again: to touch fresh memory takes as long as to copy into it.
func buffers() chan []byte {
	free := make(chan []byte, inFlight)
	for range inFlight {
		free <- make([]byte, pieceSize)
	}
	return free
}

// transfer copies content and clears what is zero.
func transfer(from io.ReaderAt, to writer, e extent, data []byte) error {
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
