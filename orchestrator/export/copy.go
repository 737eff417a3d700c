package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/domsnap/domsnap/methods"
)

// block is what is read at a time.
const block = 1 << 20

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

func (c *copier) copy(ctx context.Context, extents []methods.Extent) error {
	total, done := methods.TotalLength(extents), int64(0)
	buf := make([]byte, block)
	for _, e := range extents {
		for e.Length > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			// Up to the next multiple of a block, so that all pieces but the first begin on the grain.
			piece := buf[:min(e.Length, block-e.Offset%block)]
			if n, err := c.from.ReadAt(piece, e.Offset); n < len(piece) {
				return fmt.Errorf("read %d bytes at %d: %w", len(piece), e.Offset, unexpected(err))
			}
			if err := c.write(piece, e.Offset); err != nil {
				return err
			}
			e.Offset, e.Length = e.Offset+int64(len(piece)), e.Length-int64(len(piece))
			done += int64(len(piece))
			c.progress.Report(done, total)
		}
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
