package fullcopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// piece is what is read at a time, grain the smallest hole that is dug.
	piece = 1 << 20
	grain = 64 << 10
)

// zeroes is what a hole reads as.
var zeroes [grain]byte

// dig gives back the room of everything in a file that reads as zeroes: extents that were allocated and never written,
// and zeroes that were. The content stays the same.
func dig(ctx context.Context, f *os.File, size int64) error {
	for at := int64(0); at < size; {
		data, err := seek(f, at, unix.SEEK_DATA, size)
		if err != nil {
			return err
		}
		if err := punch(f, at, data); err != nil {
			return err
		}
		if data == size {
			return nil
		}
		if at, err = seek(f, data, unix.SEEK_HOLE, size); err != nil {
			return err
		}
		if err := digData(ctx, f, data, at); err != nil {
			return err
		}
	}
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
func digData(ctx context.Context, f *os.File, from, end int64) error {
	buf := make([]byte, piece)
	for at := from; at < end; at += piece {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.ReadAt(buf[:min(piece, end-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := punchZeroes(f, buf[:n], at); err != nil {
			return err
		}
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
