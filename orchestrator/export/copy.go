package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/domsnap/domsnap/methods"
)

// block is what is read at a time, ahead how many of those wait to be written.
const (
	block = 1 << 20
	ahead = 8
)

// copier copies extents.
type copier struct {
	from methods.Content
	to   io.WriterAt
	// grain is the size of the pieces that are looked at; those that are zero are written where zeroes says so.
	grain    int64
	zeroes   bool
	written  int64
	progress methods.Progress
}

// Read reads extents of a content in their order, in pieces of at most a MiB that end at its multiples, and reads ahead: a storage
// far away takes its time for each answer.
func Read(ctx context.Context, from methods.Content, extents []methods.Extent, each func(data []byte, at int64) error) error {
	var readers sync.WaitGroup
	// Nobody reads any more when it returns, so that the content can be closed.
	defer readers.Wait()
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	r := reader{from: from, pieces: make(chan *piece, ahead)}
	readers.Go(func() {
		defer close(r.pieces)
		r.readAhead(within, extents, func(p *piece) { readers.Go(func() { p.read <- r.fill(p) }) })
	})
	for p := range r.pieces {
		if err := errors.Join(ctx.Err(), <-p.read); err != nil {
			return err
		}
		if err := each(p.data, p.at); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// reader reads pieces.
type reader struct {
	from   methods.Content
	pieces chan *piece
}

// piece is read while those before it are written.
type piece struct {
	at   int64
	data []byte
	read chan error
}

// copy writes in order.
func (c *copier) copy(ctx context.Context, extents []methods.Extent) error {
	total, done := methods.TotalLength(extents), int64(0)
	return Read(ctx, c.from, extents, func(data []byte, at int64) error {
		if err := c.write(data, at); err != nil {
			return err
		}
		done += int64(len(data))
		c.progress.Report(done, total)
		return nil
	})
}

// readAhead begins to read one piece after the other, until as many wait to be written as fit.
func (r *reader) readAhead(ctx context.Context, extents []methods.Extent, begin func(*piece)) {
	for _, e := range extents {
		for e.Length > 0 {
			// Up to the next multiple of a block, so that all pieces but the first begin on the grain.
			p := &piece{at: e.Offset, data: make([]byte, min(e.Length, block-e.Offset%block)), read: make(chan error, 1)}
			e.Offset, e.Length = e.Offset+int64(len(p.data)), e.Length-int64(len(p.data))
			begin(p)
			select {
			case r.pieces <- p:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (r *reader) fill(p *piece) error {
	if n, err := r.from.ReadAt(p.data, p.at); n < len(p.data) {
		return fmt.Errorf("read %d bytes at %d: %w", len(p.data), p.at, unexpected(err))
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

// write writes runs of pieces that are alike.
func (c *copier) write(data []byte, at int64) error {
	for len(data) > 0 {
		run, zero := c.run(data, at)
		if !zero || c.zeroes {
			n, err := c.to.WriteAt(data[:run], at)
			c.written += int64(n)
			if err != nil {
				return fmt.Errorf("write %d bytes at %d: %w", run, at, err)
			}
		}
		data, at = data[run:], at+run
	}
	return nil
}

// run is the length of the first pieces that are all zero, or all not.
func (c *copier) run(data []byte, at int64) (length int64, zero bool) {
	for length < int64(len(data)) {
		end := min(length+c.grain-(at+length)%c.grain, int64(len(data)))
		is := isZero(data[length:end])
		if length > 0 && is != zero {
			return length, zero
		}
		length, zero = end, is
	}
	return length, zero
}

var zeroes [64 << 10]byte

func isZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeroes))
		if !bytes.Equal(b[:n], zeroes[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}
