package command

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strconv"

	"github.com/domsnap/domsnap/methods"
)

// Talker is a Runner that hands on what a program says while it is at work. One that is none is not told how far that is.
type Talker interface {
	Runner
	// Talk is Run for a program whose standard output goes to said as it comes.
	Talk(ctx context.Context, said io.Writer, name string, args ...string) error
}

// Percent runs programs that print how much of their work is done in the manner of qemu-img -p: "    (12.34/100%)\r".
type Percent struct {
	Progress methods.Progress
	// Total is how much 100 % are, in bytes.
	Total int64
}

// Run runs a program to its end, and reports how far it is.
func (p Percent) Run(ctx context.Context, run Runner, name string, args ...string) error {
	if t, ok := run.(Talker); ok {
		return t.Talk(ctx, &percentReader{Percent: p}, name, args...)
	}
	_, err := run.Run(ctx, name, args...)
	return err
}

var percentage = regexp.MustCompile(`\((\d{1,3}(?:\.\d{1,6})?)/100%\)`)

// longestLine is more than such a program prints in a line.
const longestLine = 256

// percentReader reads what such a program prints.
type percentReader struct {
	Percent
	line []byte
}

// Write implements io.Writer.
func (r *percentReader) Write(text []byte) (int, error) {
	for rest := text; len(rest) > 0; {
		end := bytes.IndexAny(rest, "\r\n")
		if end < 0 {
			r.keep(rest)
			break
		}
		r.keep(rest[:end])
		r.tell()
		rest = rest[end+1:]
	}
	return len(text), nil
}

func (r *percentReader) keep(text []byte) {
	r.line = append(r.line, text[:min(len(text), longestLine-len(r.line))]...)
}

// tell reports what the line says, if that can be.
func (r *percentReader) tell() {
	found := percentage.FindSubmatch(r.line)
	r.line = r.line[:0]
	if found == nil {
		return
	}
	percent, err := strconv.ParseFloat(string(found[1]), 64)
	if err == nil && percent <= 100 {
		r.Progress.Report(int64(percent/100*float64(r.Total)), r.Total)
	}
}
