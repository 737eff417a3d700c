package main

import (
	"fmt"
	"io"
	"os"

	"github.com/domsnap/domsnap/orchestrator"
)

// progress draws one line for the long step at work, on a terminal only.
type progress struct {
	to    io.Writer
	drawn bool
}

// newProgress is nil where nobody would see it.
func newProgress(f *os.File) *progress {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return &progress{to: f}
}

func (p *progress) show(e orchestrator.Event) {
	switch {
	case p == nil:
	case e.Total > 0:
		p.drawn = true
		fmt.Fprintf(p.to, "\r\x1b[K%s %3d %%", oneLine(e.Step), e.Current*100/e.Total)
	case e.Done && p.drawn:
		p.drawn = false
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
