package export

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

// block is what is read at a time, ahead how many of those wait to be written. Where one call reads many extents it is of
// maxGathered at most, and of no more bytes than those ahead.
const (
	block       = 1 << 20
	ahead       = 8
	maxGathered = 16
)

// Each does something with a piece of a content. The data are its own until it returns.
type Each func(data []byte, at int64) error

// Read reads extents of a content in their order, in pieces of at most a MiB that end at its multiples, and several at once: a
// storage far away takes its time for each answer.
func Read(ctx context.Context, from methods.Content, extents []methods.Extent, each Each) error {
	if _, ok := from.(methods.Foreseeing); ok {
		return readForeseen(ctx, from, extents, each)
	}
	if g, ok := from.(methods.Gathering); ok {
		return readGathered(ctx, g, extents, each)
	}
	return readAside(ctx, from, extents, each)
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

// readGathered reads a batch of pieces with one call, one batch after the other: what each does with the last one may go on
// meanwhile, and needs its own share of the processors.
func readGathered(ctx context.Context, from methods.Gathering, extents []methods.Extent, each Each) error {
	var buffer []byte
	for batch := range batches(extents) {
		if ctx.Err() != nil {
			break
		}
		n := int(methods.TotalLength(batch))
		buffer = slices.Grow(buffer[:0], n)[:n]
		if err := from.ReadExtents(batch, buffer); err != nil {
			return fmt.Errorf("read %d extents from %d: %w", len(batch), batch[0].Offset, err)
		}
		if err := methods.EachPart(batch, buffer, func(part []byte, at int64) (int, error) { return len(part), each(part, at) }); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// batches are the pieces of extents that are read with one call.
func batches(extents []methods.Extent) iter.Seq[[]methods.Extent] {
	return func(yield func([]methods.Extent) bool) {
		var batch []methods.Extent
		var total int64
		for p := range pieces(extents) {
			if len(batch) == maxGathered || total+p.Length > ahead*block {
				if !yield(batch) {
					return
				}
				batch, total = batch[:0], 0
			}
			batch, total = append(batch, p), total+p.Length
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}

// readAside reads several pieces side by side.
func readAside(ctx context.Context, from methods.Content, extents []methods.Extent, each Each) error {
	var readers sync.WaitGroup
	// Nobody reads any more when it returns, so that the content can be closed.
	defer readers.Wait()
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	r := reader{from: from, pieces: make(chan *piece, ahead), free: make(chan []byte, ahead)}
	readers.Go(func() {
		defer close(r.pieces)
		r.readAhead(within, extents, func(p *piece) { readers.Go(func() { p.read <- fill(from, p.data, p.at) }) })
	})
	for p := range r.pieces {
		if err := errors.Join(ctx.Err(), <-p.read); err != nil {
			return err
		}
		if err := each(p.data, p.at); err != nil {
			return err
		}
		r.give(p.data)
	}
	return ctx.Err()
}

// reader reads pieces.
type reader struct {
	from   methods.Content
	pieces chan *piece
	// free are buffers of pieces that are done with.
	free chan []byte
}

// piece is read while those before it are written.
type piece struct {
	at   int64
	data []byte
	read chan error
}

// readAhead begins to read one piece after the other, until as many wait to be written as fit.
func (r *reader) readAhead(ctx context.Context, extents []methods.Extent, begin func(*piece)) {
	for e := range pieces(extents) {
		p := &piece{at: e.Offset, data: r.take(e.Length), read: make(chan error, 1)}
		begin(p)
		select {
		case r.pieces <- p:
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
