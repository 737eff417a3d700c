package engine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

var (
	errTooLong = fmt.Errorf("a line of more than %d bytes", maxLine)
	errEnded   = errors.New("it ended without an answer")
)

// lineReader reads lines of a bounded length.
type lineReader struct {
	r   *bufio.Reader
	buf []byte
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// next is the next line; it is good until the one after.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		l.buf = append(l.buf, part...)
		switch {
		case len(l.buf) > maxLine:
			return nil, errTooLong
		case err == nil:
			return l.buf, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(l.buf) == 0:
			return nil, errEnded
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("%w: its last line has no end", errEnded)
		default:
			return nil, err
		}
	}
}

// rest says whether there is anything after the last line that was read.
func (l *lineReader) rest() bool {
	_, err := l.r.Peek(1)
	return err == nil
}
