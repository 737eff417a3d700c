package lvm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/domsnap/domsnap/methods"
)

const (
	// copyWorkers read and write at the same time, so that a slow device always has work.
	copyWorkers = 4
	// copyRun is the most that is read at once.
	copyRun = 1 << 20
)

// readerWriterAt is a device that can be read and written anywhere.
type readerWriterAt interface {
	io.ReaderAt
	io.WriterAt
}

// copier writes chunks of one device over those of another where they differ.
type copier struct {
	from io.ReaderAt
	to   readerWriterAt
	// size is that of the devices, in bytes; the last chunk may be short.
	size, chunk int64
	progress    methods.Progress

	mutex         sync.Mutex
	done, written int64
}

// span is a piece of consecutive chunks.
type span struct{ offset, length int64 }

// spans joins neighbours, up to copyRun bytes each. The chunks are ascending.
func (c *copier) spans(chunks []int64) []span {
	var list []span
	for _, n := range chunks {
		offset := n * c.chunk
		length := min(c.chunk, c.size-offset)
		if last := len(list) - 1; last >= 0 && list[last].offset+list[last].length == offset && list[last].length+length <= copyRun {
			list[last].length += length
			continue
		}
		list = append(list, span{offset, length})
	}
	return list
}

// run copies and says how many bytes it wrote. The first error ends it.
func (c *copier) run(ctx context.Context, chunks []int64) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	list := c.spans(chunks)
	total := int64(0)
	queue := make(chan span, len(list))
	for _, s := range list {
		total += s.length
		queue <- s
	}
	close(queue)
	var workers sync.WaitGroup
	for range copyWorkers {
		workers.Go(func() {
			if err := c.work(ctx, queue, total); err != nil {
				cancel(err)
			}
		})
	}
	workers.Wait()
	return c.written, context.Cause(ctx)
}

func (c *copier) work(ctx context.Context, queue <-chan span, total int64) error {
	before, now := make([]byte, max(copyRun, c.chunk)), make([]byte, max(copyRun, c.chunk))
	for s := range queue {
		if err := ctx.Err(); err != nil {
			return err
		}
		written, err := c.copySpan(s, before[:s.length], now[:s.length])
		if err != nil {
			return err
		}
		c.report(s.length, written, total)
	}
	return nil
}

func (c *copier) copySpan(s span, before, now []byte) (written int64, err error) {
	if err := readFull(c.from, before, s.offset); err != nil {
		return 0, fmt.Errorf("read snapshot at %d: %w", s.offset, err)
	}
	if err := readFull(c.to, now, s.offset); err != nil {
		return 0, fmt.Errorf("read origin at %d: %w", s.offset, err)
	}
	for at := int64(0); at < s.length; at += c.chunk {
		end := min(at+c.chunk, s.length)
		if bytes.Equal(before[at:end], now[at:end]) {
			continue
		}
		if _, err := c.to.WriteAt(before[at:end], s.offset+at); err != nil {
			return written, fmt.Errorf("write origin at %d: %w", s.offset+at, err)
		}
		written += end - at
	}
	return written, nil
}

// readFull takes the end of the device together with all of the bytes for what it is.
func readFull(r io.ReaderAt, p []byte, offset int64) error {
	n, err := r.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	return err
}

func (c *copier) report(done, written, total int64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.done += done
	c.written += written
	c.progress.Report(c.done, total)
}
