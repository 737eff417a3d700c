package rbd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"os"
	"time"
	"sync"

	"github.com/domsnap/domsnap/methods"
)

const (
	// pieceSize is how much is copied at a time, and inFlight how many pieces at once.
	pieceSize = 1 << 20
	inFlight  = 8
	// grain is the smallest run of zeroes that is not written, and the least that a write counts for: smaller
	// ones take as long.
	grain = 64 << 10
	// partSize is how much is asked for changes at a time, a multiple of the size of any object.
	partSize = 1 << 30
)

// rewrite is what gives an image the content of a snapshot.
type rewrite struct {
	// changed is what the snapshot has and the present has otherwise.
	changed []extent
	// fresh are the whole objects that the snapshot does not have.
	fresh []extent
	// used are the whole objects that the present has.
	used []extent
}

func (r rewrite) bytes() int64 { return total(r.changed, 0) + total(r.fresh, 0) }

// quicker says whether to prefer it to a rollback, which takes about as long for each object in use, changed
// or not: while what has changed is less than a quarter of what is in use.
func (r rewrite) quicker() bool { return 4*total(r.changed, grain) < total(r.used, 0) }

// planRewrite finds out what changed since a snapshot. It fails with ErrUnsupported where that is not cheap, or
// not certain.
//
// The object maps say which objects exist at a point in time. They do not say reliably which objects changed
// since: a rollback gives the image the older snapshot's map, and with it objects that look unchanged since
// younger snapshots. So the objects themselves are asked, those that the snapshot has.
func planRewrite(ctx context.Context, image reader, snap string) (rewrite, error) {
	if err := image.plain(snap); err != nil {
		return rewrite{}, err
	}
	then, err := image.changed("", snap)
	if err != nil {
		return rewrite{}, err
	}
	now, err := image.changed("", "")
	if err != nil {
		return rewrite{}, err
	}
	then, now = existing(then), existing(now)
	r := rewrite{fresh: without(now, then), used: now}
	t0 := time.Now()
	defer func() { fmt.Fprintln(os.Stderr, "TIMING exact", len(join(then)), time.Since(t0).Milliseconds()) }()
	for part := range pieces(join(then), partSize) {
		found, err := image.changedWithin(snap, part)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return rewrite{}, err
		}
		r.changed = append(r.changed, found...)
		if !r.quicker() {
			break
		}
	}
	return r, nil
}

// do writes it, several pieces at once. It stops between two pieces when the context ends.
func (r rewrite) do(ctx context.Context, from io.ReaderAt, to writer, p methods.Progress) error {
	done := counter(p, r.bytes())
	t0 := time.Now()
	defer func() { fmt.Fprintln(os.Stderr, "TIMING do", len(r.fresh), len(r.changed), time.Since(t0).Milliseconds()) }()
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
	fmt.Fprintln(os.Stderr, "TIMING copied", time.Since(t0).Milliseconds())
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
