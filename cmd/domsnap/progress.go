package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/domsnap/domsnap/orchestrator"
)

// progress draws one line for the long steps at work, on a terminal only.
type progress struct {
	to io.Writer
	// steps are those at work, in the order in which they were first told of.
	steps []longStep
	// drawn is when the line was drawn; zero while there is none.
	drawn time.Time
}

const (
	// settled is how long a step has to be at work before its rate says something.
	settled = time.Second
	// redraw is how long a line stays: the steps tell more often than anybody reads.
	redraw = 100 * time.Millisecond
)

// A line that is longer than the terminal is wide is cut, since only one can be wiped.
const (
	wipe      = "\r\x1b[K"
	noWrap    = "\x1b[?7l"
	wrapAgain = "\x1b[?7h"
)

// newProgress is nil where nobody would see it.
func newProgress(f *os.File) *progress {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return &progress{to: f}
}

func (p *progress) show(e orchestrator.Event, now time.Time) {
	switch {
	case p == nil:
	case e.Total > 0:
		p.note(e, now)
		if now.Sub(p.drawn) >= redraw {
			p.drawn = now
			fmt.Fprint(p.to, wipe, noWrap, p.line(now), wrapAgain)
		}
	case e.Done:
		p.steps = slices.DeleteFunc(p.steps, func(s longStep) bool { return s.name == e.Step })
		p.clear()
	}
}

// clear takes the line away, so that something else can be printed.
func (p *progress) clear() {
	if p != nil && !p.drawn.IsZero() {
		p.drawn = time.Time{}
		fmt.Fprint(p.to, wipe)
	}
}

// note keeps how far a step is. One that is behind where it began has begun anew.
func (p *progress) note(e orchestrator.Event, now time.Time) {
	at := slices.IndexFunc(p.steps, func(s longStep) bool { return s.name == e.Step })
	if at < 0 {
		at = len(p.steps)
		p.steps = append(p.steps, longStep{name: e.Step, began: now, first: e.Current})
	}
	s := &p.steps[at]
	if e.Current < s.first {
		s.began, s.first = now, e.Current
	}
	s.done, s.total = e.Current, e.Total
}

// line says how far all the steps are together.
func (p *progress) line(now time.Time) string {
	var all longStep
	var names []string
	var rate float64
	var left time.Duration
	for _, s := range p.steps {
		names = append(names, oneLine(s.name))
		all.done, all.total = all.done+s.done, all.total+s.total
		rate, left = rate+s.rate(now), max(left, s.left(now))
	}
	text := fmt.Sprintf("%s %3d %%, %s", strings.Join(names, ", "), all.done*100/all.total, all.amount())
	if rate > 0 {
		text += fmt.Sprintf(", %.1f MiB/s, %s left", rate/(1<<20), left.Round(time.Second))
	}
	return text
}

// longStep is how far one step is, in bytes.
type longStep struct {
	name string
	// began is when it was first told of, first how far it was then, which may be a good part of it after a cut.
	began              time.Time
	first, done, total int64
}

// rate is its bytes in a second, 0 while that is not known.
func (s longStep) rate(now time.Time) float64 {
	took := now.Sub(s.began)
	if took < settled {
		return 0
	}
	return float64(s.done-s.first) / took.Seconds()
}

func (s longStep) left(now time.Time) time.Duration {
	rate := s.rate(now)
	if rate == 0 {
		return 0
	}
	return time.Duration(float64(s.total-s.done) / rate * float64(time.Second))
}

// amount is what is done and what there is to do, both in the unit that suits the whole.
func (s longStep) amount() string {
	unit, name := float64(1<<20), "MiB"
	if s.total >= 10<<30 {
		unit, name = 1<<30, "GiB"
	}
	return fmt.Sprintf("%.1f of %.1f %s", float64(s.done)/unit, float64(s.total)/unit, name)
}
