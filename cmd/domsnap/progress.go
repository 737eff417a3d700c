package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/domsnap/domsnap/orchestrator"
)

// progress draws one line for the long step at work, on a terminal only.
type progress struct {
	to    io.Writer
	drawn bool
	// began is where each long step was when it was first told of.
	began map[string]mark
}

// mark is how far a step was at a time.
type mark struct {
	at   time.Time
	done int64
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
		fmt.Fprintf(p.to, "\r\x1b[K%s %3d %%%s", oneLine(e.Step), e.Current*100/e.Total, p.pace(e, time.Now()))
	case e.Done && p.drawn:
		p.drawn = false
		delete(p.began, e.Step)
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}

// settled is how long a step has to be at work before its rate says something.
const settled = time.Second

// pace is the rate of a step and the time that it has left.
func (p *progress) pace(e orchestrator.Event, now time.Time) string {
	first, known := p.began[e.Step]
	if p.began == nil {
		p.began = map[string]mark{}
	}
	if !known || e.Current < first.done {
		p.began[e.Step] = mark{now, e.Current}
		return ""
	}
	took, done := now.Sub(first.at), e.Current-first.done
	if took < settled || done == 0 {
		return ""
	}
	rate := float64(done) / took.Seconds()
	left := time.Duration(float64(e.Total-e.Current) / rate * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf(", %.1f MiB/s, %s left", rate/(1<<20), left)
}
