package export

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/domsnap/domsnap/methods"
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
