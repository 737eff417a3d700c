package quiesce

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// The lines of the protocol between a process that holds a guest and its guardian.
const (
	lineReady    = "ready"
	lineReleased = "released"
	lineWatch    = "watch"
)

// The guardian's bounds.
const (
	// guardLimit is how long a hold may last before the guardian ends it, whatever the holder thinks.
	guardLimit = HoldLimit + MaxFreezeTimeout
	// guardInsist is how long the guardian tries to let a guest go, unless its Post says otherwise.
	guardInsist = 5 * time.Minute
	// stopPatience is how long a holder that was ended may take to be gone.
	stopPatience = 2 * time.Second
	// lateWatch is how long a freeze is looked for that was given up and may still come.
	lateWatch = 60 * time.Second
)

// Post is what a guardian watches over.
type Post struct {
	// In is the pipe on which a Guardian tells of its holds.
	In io.Reader
	// Dial connects to the guest anew. A guest that is not there any more is ErrGone.
	Dial func(context.Context) (Guest, error)
	// Insist is how long to try to let the guest go; 0 for five minutes.
	Insist time.Duration
	// Stop ends the holder; nil where there is none to end. It is called when a hold lasts too long, before the guest is let
	// go: what a process that stood still was about to do must not come when the guest goes on.
	Stop func() error
	// Free is called when the guest goes on, the holder is gone, and a freeze that may still come is all that is left to
	// wait for; may be nil.
	Free func()
}

// Guard is the guardian's life. It reads what a Guardian tells until the pipe ends. When that happens while the
// guest is held, it connects anew and lets the guest go. Where a hold lasts too long it ends the holder first. It fails when the guest could not
// be let go.
func Guard(ctx context.Context, p Post) error {
	if p.Insist == 0 {
		p.Insist = guardInsist
	}
	g := &guard{Post: p, holds: map[Hold]bool{}}
	lines := make(chan string)
	go readLines(p.In, lines)
	for {
		select {
		case line, open := <-lines:
			if !open {
				return g.finish(ctx)
			}
			g.hear(line)
		case <-g.tooLong:
			if g.stop() {
				continue
			}
			if err := g.letGo(ctx); err != nil {
				return err
			}
		}
	}
}

type guard struct {
	Post
	holds   map[Hold]bool
	watch   bool
	tooLong <-chan time.Time
}

// stop ends the holder, once. As a rule its pipe ends then.
func (g *guard) stop() bool {
	stop := g.Stop
	g.Stop = nil
	if stop == nil || stop() != nil {
		return false
	}
	g.tooLong = time.After(stopPatience)
	return true
}

func readLines(in io.Reader, out chan<- string) {
	defer close(out)
	for s := bufio.NewScanner(in); s.Scan(); {
		out <- s.Text()
	}
}

func (g *guard) hear(line string) {
	switch line {
	case lineReleased:
		clear(g.holds)
		g.tooLong = nil
	case lineWatch:
		g.watch = true
	default:
		g.holds[Hold(line)] = true
		if g.tooLong == nil {
			g.tooLong = time.After(guardLimit)
		}
	}
}

// finish is what is left to do when the holder is gone.
func (g *guard) finish(ctx context.Context) error {
	err := g.letGo(ctx)
	if !g.watch {
		return err
	}
	if err == nil && g.Free != nil {
		g.Free()
	}
	return g.watchLate(ctx)
}

func (g *guard) watchLate(ctx context.Context) (err error) {
	g.holds[HoldFreeze] = true
	for end := time.Now().Add(lateWatch); time.Now().Before(end); time.Sleep(PingTimeout) {
		if err = g.onceBounded(ctx); errors.Is(err, ErrGone) {
			return nil
		}
	}
	return err
}

func (g *guard) onceBounded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, PingTimeout)
	defer cancel()
	return g.once(ctx)
}

// letGo tries until the guest is let go. Each try has a connection of its own, so that a daemon that was
// restarted is no obstacle.
func (g *guard) letGo(ctx context.Context) error {
	g.tooLong = nil
	if len(g.holds) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, g.Insist)
	defer cancel()
	if err := insist(ctx, g.once); err != nil {
		return err
	}
	clear(g.holds)
	return nil
}

func (g *guard) once(ctx context.Context) error {
	guest, err := g.Dial(ctx)
	if err != nil {
		return fmt.Errorf("reach the guest: %w", err)
	}
	if c, ok := guest.(io.Closer); ok {
		defer c.Close()
	}
	return release(ctx, guest, g.holds)
}

// errNotReady: the guardian ended, or said something else, before it said that it is ready.
var errNotReady = errors.New("the guardian did not get ready")
