// Package quiescetest has a guest and a guardian that live in this process, and remember what was asked of them.
package quiescetest

import (
	"slices"
	"sync"
)

// Log is what was called, in order. A guest and a guardian that share one show who was asked first.
type Log struct {
	mu    sync.Mutex
	lines []string
}

func (l *Log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

// Note adds a line of somebody else's.
func (l *Log) Note(line string) { l.add(line) }

// Lines are the calls so far.
func (l *Log) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// Count is how often a call was made.
func (l *Log) Count(line string) int {
	n := 0
	for _, one := range l.Lines() {
		if one == line {
			n++
		}
	}
	return n
}
