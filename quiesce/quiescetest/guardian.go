package quiescetest

import (
	"sync"

	"github.com/domsnap/domsnap/quiesce"
)

// Guardian writes down what it is told, as "guardian: holding freeze".
type Guardian struct {
	Log *Log

	mu        sync.Mutex
	err       error
	holding   bool
	dismissed bool
}

// Fail makes every call answer err from now on.
func (g *Guardian) Fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

// Holding implements quiesce.Guardian.
func (g *Guardian) Holding(h quiesce.Hold) error {
	return g.hear("holding "+string(h), func() { g.holding = true })
}

// Released implements quiesce.Guardian.
func (g *Guardian) Released() error {
	return g.hear("released", func() { g.holding = false })
}

// Watch implements quiesce.Guardian.
func (g *Guardian) Watch() error { return g.hear("watch", func() {}) }

// Dismiss ends the guardian.
func (g *Guardian) Dismiss() error {
	return g.hear("dismiss", func() { g.dismissed = true })
}

// Responsible says that the guardian, once alone, would have a guest to let go.
func (g *Guardian) Responsible() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.holding
}

// Dismissed says that it was ended.
func (g *Guardian) Dismissed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dismissed
}

func (g *Guardian) hear(line string, effect func()) error {
	g.Log.add("guardian: " + line)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		effect()
	}
	return g.err
}

var _ quiesce.Guardian = (*Guardian)(nil)
