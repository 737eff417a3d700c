package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/domsnap/domsnap/methods"
)

// block is what is read at a time, ahead how many of those wait to be written. gathered is what is read with one call where many
// extents can be, and one such reading is under way while what the last one read is written.
const (
	block    = 1 << 20
	ahead    = 8
	gathered = 2 << 20
)

// Each does something with a piece of a content. The data are its own until it returns.
type Each func(data []byte, at int64) error

// Read reads extents of a content in their order, in pieces of at most a MiB that end at its multiples, and reads ahead: a storage
// far away takes its time for each answer.
func Read(ctx context.Context, from methods.Content, extents []methods.Extent, each Each) error {
	if _, ok := from.(methods.Foreseeing); ok {
		return readForeseen(ctx, from, extents, each)
	}
	if g, ok := from.(methods.Gathering); ok {
		return readAside(ctx, aside{batches(extents, gathered), g.ReadExtents, 1}, each)
	}
	one := func(of []methods.Extent, data []byte) error { return fill(from, data, of[0].Offset) }
	return readAside(ctx, aside{batches(extents, 1), one, ahead}, each)
}

// batches are the pieces of extents, as many together as are no longer than a length, and one at least.
func batches(extents []methods.Extent, length int64) iter.Seq[[]methods.Extent] {
	return func(yield func([]methods.Extent) bool) {
		var batch []methods.Extent
		var total int64
		for p := range pieces(extents) {
			if len(batch) > 0 && total+p.Length > length {
				if !yield(batch) {
					return
				}
				batch, total = nil, 0
			}
			batch, total = append(batch, p), total+p.Length
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}

// pieces cuts extents at the multiples of a block, so that all but the first of an extent begin on the grain.
func pieces(extents []methods.Extent) iter.Seq[methods.Extent] {
	return func(yield func(methods.Extent) bool) {
		for _, e := range extents {
			for e.Length > 0 {
				p := methods.Extent{Offset: e.Offset, Length: min(e.Length, block-e.Offset%block)}
				if !yield(p) {
					return
				}
				e.Offset, e.Length = p.End(), e.Length-p.Length
			}
		}
	}
}

// readForeseen reads one piece after the other, after it has said which come next: no threads are needed for that.
func readForeseen(ctx context.Context, from methods.Content, extents []methods.Extent, each Each) error {
	var expected []methods.Extent
	var buffer []byte
	next := func() error {
		p := expected[0]
		expected = expected[1:]
		if int64(cap(buffer)) < p.Length {
			buffer = make([]byte, p.Length)
		}
		if err := errors.Join(ctx.Err(), fill(from, buffer[:p.Length], p.Offset)); err != nil {
			return err
		}
		return each(buffer[:p.Length], p.Offset)
	}
	for p := range pieces(extents) {
		from.(methods.Foreseeing).Expect(p)
		if expected = append(expected, p); len(expected) > ahead {
			if err := next(); err != nil {
				return err
			}
		}
	}
	for len(expected) > 0 {
		if err := next(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// aside is how something is read side by side: batches of extents, each with one call, and so many of them ahead.
type aside struct {
	batches iter.Seq[[]methods.Extent]
	read    func(of []methods.Extent, data []byte) error
	ahead   int
}

// readAside reads several batches side by side.
func readAside(ctx context.Context, how aside, each Each) error {
	var readers sync.WaitGroup
	// Nobody reads any more when it returns, so that the content can be closed.
	defer readers.Wait()
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	r := reader{batches: make(chan *batch, how.ahead), free: make(chan []byte, how.ahead)}
	readers.Go(func() {
		defer close(r.batches)
		r.readAhead(within, how.batches, func(b *batch) { readers.Go(func() { b.read <- how.read(b.of, b.data) }) })
	})
	for b := range r.batches {
		if err := errors.Join(ctx.Err(), <-b.read); err != nil {
			return err
		}
		if err := b.each(each); err != nil {
			return err
		}
		r.give(b.data)
	}
	return ctx.Err()
}

// reader reads batches.
type reader struct {
	batches chan *batch
	// free are buffers of batches that are done with.
	free chan []byte
}

// batch is read while those before it are written.
type batch struct {
	of   []methods.Extent
	data []byte
	read chan error
}

func (b *batch) each(do Each) error {
	data := b.data
	for _, e := range b.of {
		if err := do(data[:e.Length:e.Length], e.Offset); err != nil {
			return err
		}
		data = data[e.Length:]
	}
	return nil
}

// readAhead begins to read one batch after the other, until as many wait to be written as fit.
func (r *reader) readAhead(ctx context.Context, batches iter.Seq[[]methods.Extent], begin func(*batch)) {
	for of := range batches {
		b := &batch{of: of, data: r.take(methods.TotalLength(of)), read: make(chan error, 1)}
		begin(b)
		select {
		case r.batches <- b:
		case <-ctx.Done():
			return
		}
	}
}

// give keeps a buffer for another piece.
func (r *reader) give(b []byte) {
	select {
	case r.free <- b:
	default:
	}
}

// take gives a buffer that was used before, where there is one that is large enough.
func (r *reader) take(n int64) []byte {
	select {
	case b := <-r.free:
		if int64(cap(b)) >= n {
			return b[:n]
		}
	default:
	}
	return make([]byte, n)
}

func fill(from io.ReaderAt, data []byte, at int64) error {
	if n, err := from.ReadAt(data, at); n < len(data) {
		return fmt.Errorf("read %d bytes at %d: %w", len(data), at, unexpected(err))
	}
	return nil
}

// unexpected: a content does not end before its size.
func unexpected(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
