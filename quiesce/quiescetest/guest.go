package quiescetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/domsnap/domsnap/quiesce"
)

// Call is one of a guest's calls, as the log prints it.
type Call string

// The calls.
const (
	Ping   Call = "ping"
	Freeze Call = "freeze"
	Thaw   Call = "thaw"
	Status Call = "status"
	Pause  Call = "pause"
	Resume Call = "resume"
)

// ErrAgent is what a guest without an agent answers.
var ErrAgent = errors.New("the agent is not connected")

// Fault makes a call go wrong.
type Fault struct {
	Call Call
	// Times is how often; 0 for ever.
	Times int
	// Err is the answer; when it is nil the call waits for its context to end.
	Err error
	// Anyway lets the call have its effect all the same, Late after it was made.
	Anyway bool
	Late   time.Duration
}

// Guest is a guest that can be held. The zero value has no file systems; its faults are set with Break.
type Guest struct {
	Log *Log
	// Filesystems is how many there are to freeze.
	Filesystems int

	mu     sync.Mutex
	frozen int
	paused bool
	faults []Fault
}

// NewGuest makes a guest with two file systems and an agent that answers.
func NewGuest() *Guest {
	return &Guest{Log: &Log{}, Filesystems: 2}
}

// Break adds a fault.
func (g *Guest) Break(f Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = append(g.faults, f)
}

// BreakAgent makes every call of the agent answer ErrAgent.
func (g *Guest) BreakAgent() {
	for _, c := range []Call{Ping, Freeze, Thaw, Status} {
		g.Break(Fault{Call: c, Err: ErrAgent})
	}
}

// Mend takes all faults away.
func (g *Guest) Mend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = nil
}

// State is how many file systems are frozen, and whether the CPUs stand.
func (g *Guest) State() (frozen int, paused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.frozen, g.paused
}

// Held says that the guest does not go on.
func (g *Guest) Held() bool {
	frozen, paused := g.State()
	return frozen > 0 || paused
}

// SetState puts the guest into a state, as somebody else would.
func (g *Guest) SetState(frozen int, paused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.frozen, g.paused = frozen, paused
}

// Ping implements quiesce.Guest.
func (g *Guest) Ping(ctx context.Context) error {
	_, err := g.agent(ctx, Ping, func() int { return 0 })
	return err
}

// FreezeFilesystems implements quiesce.Guest.
func (g *Guest) FreezeFilesystems(ctx context.Context) (int, error) {
	return g.agent(ctx, Freeze, func() int {
		g.frozen = g.Filesystems
		return g.frozen
	})
}

// ThawFilesystems implements quiesce.Guest.
func (g *Guest) ThawFilesystems(ctx context.Context) (int, error) {
	return g.agent(ctx, Thaw, func() int {
		n := g.frozen
		g.frozen = 0
		return n
	})
}

// Frozen implements quiesce.Guest.
func (g *Guest) Frozen(ctx context.Context) (bool, error) {
	n, err := g.agent(ctx, Status, func() int { return g.frozen })
	return n > 0, err
}

// Pause implements quiesce.Guest.
func (g *Guest) Pause(ctx context.Context) error {
	_, err := g.call(ctx, Pause, func() int {
		g.paused = true
		return 0
	})
	return err
}

// Resume implements quiesce.Guest.
func (g *Guest) Resume(ctx context.Context) error {
	_, err := g.call(ctx, Resume, func() int {
		g.paused = false
		return 0
	})
	return err
}

// agent is a call that needs the guest's CPUs: of a paused guest there is no answer.
func (g *Guest) agent(ctx context.Context, c Call, effect func() int) (int, error) {
	if _, paused := g.State(); paused {
		g.Log.add(string(c))
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return g.call(ctx, c, effect)
}

func (g *Guest) call(ctx context.Context, c Call, effect func() int) (int, error) {
	g.Log.add(string(c))
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	fault := g.fault(c)
	if fault == nil {
		return g.locked(effect), nil
	}
	switch {
	case fault.Anyway && fault.Late > 0:
		time.AfterFunc(fault.Late, func() { g.locked(effect) })
	case fault.Anyway:
		g.locked(effect)
	}
	if fault.Err != nil {
		return 0, fault.Err
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

func (g *Guest) locked(effect func() int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return effect()
}

// fault finds the first fault of a call and uses it up.
func (g *Guest) fault(c Call) *Fault {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.faults {
		f := g.faults[i]
		if f.Call != c {
			continue
		}
		switch f.Times {
		case 0:
		case 1:
			g.faults = append(g.faults[:i], g.faults[i+1:]...)
		default:
			g.faults[i].Times--
		}
		return &f
	}
	return nil
}

var _ quiesce.Guest = (*Guest)(nil)
