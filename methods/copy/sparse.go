package fullcopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

const (
	// piece is what is read at a time, grain the smallest hole that is dug.
	piece = 1 << 20
	grain = 64 << 10
)

// zeroes is what a hole reads as.
var zeroes [grain]byte

// digger makes a file of a size sparse, and tells how far in it that is.
type digger struct {
	file     *os.File
	size     int64
	progress methods.Progress
}

// dig gives back the room of everything in the file that reads as zeroes: extents that were allocated and never written,
// and zeroes that were. The content stays the same.
func (d digger) dig(ctx context.Context) error {
	for at := int64(0); at < d.size; {
		data, err := seek(d.file, at, unix.SEEK_DATA, d.size)
		if err != nil {
			return err
		}
		if err := punch(d.file, at, data); err != nil {
			return err
		}
		if data == d.size {
			break
		}
		if at, err = seek(d.file, data, unix.SEEK_HOLE, d.size); err != nil {
			return err
		}
		if err := d.digData(ctx, data, at); err != nil {
			return err
		}
	}
	d.progress.Report(d.size, d.size)
	return nil
}

// seek finds the next data or the next hole; the end where there is none.
func seek(f *os.File, at int64, whence int, size int64) (int64, error) {
	found, err := f.Seek(at, whence)
	switch {
	case errors.Is(err, unix.ENXIO):
		return size, nil
	case err != nil:
		return 0, fmt.Errorf("look for holes: %w", err)
	default:
		return min(found, size), nil
	}
}

// digData punches holes where the data of an extent is zero.
func (d digger) digData(ctx context.Context, from, end int64) error {
	buf := make([]byte, piece)
	for at := from; at < end; at += piece {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := d.file.ReadAt(buf[:min(piece, end-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := punchZeroes(d.file, buf[:n], at); err != nil {
			return err
		}
		d.progress.Report(at+int64(n), d.size)
	}
	return nil
}

// punchZeroes makes one hole of grains that follow each other.
func punchZeroes(f *os.File, data []byte, offset int64) error {
	from := 0
	for at := 0; at < len(data); at += grain {
		end := min(at+grain, len(data))
		if string(data[at:end]) == string(zeroes[:end-at]) {
			continue
		}
		if err := punch(f, offset+int64(from), offset+int64(at)); err != nil {
			return err
		}
		from = end
	}
	return punch(f, offset+int64(from), offset+int64(len(data)))
}

// punch makes a hole. A file system without holes keeps the zeroes.
func punch(f *os.File, from, end int64) error {
	if end <= from {
		return nil
	}
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, from, end-from)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("dig a hole: %w", err)
	}
	return nil
}
