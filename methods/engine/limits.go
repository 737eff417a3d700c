package engine

import "time"

// Limits are how long domsnap waits for an engine.
type Limits struct {
	// Greeting is for the start of the process and its first line.
	Greeting time.Duration
	// Short is for a whole verb that looks and does not touch.
	Short time.Duration
	// Silence is for a verb that may take long: the longest time without a line from it.
	Silence time.Duration
	// End is for the process to end once its input has, and for a read to come back once its context has ended.
	End time.Duration
}

// DefaultLimits are those of the protocol.
func DefaultLimits() Limits {
	return Limits{Greeting: 5 * time.Second, Short: 30 * time.Second, Silence: time.Minute, End: 5 * time.Second}
}

// What an engine may say at most.
const (
	// maxLine is for the answer to a read, maxJSON for a line without the data in it.
	maxLine   = 4 << 20
	maxJSON   = 1 << 20
	maxStderr = 16 << 10
	// maxRead is what one read asks for, in bytes before base64.
	maxRead = 1 << 20
	// Progress beyond burst lines, and beyond linesPerSecond after that, is a flood.
	burst          = 1000
	linesPerSecond = 100
)

// patience is how long one request is waited for: for all of it, or for each line of it.
type patience struct {
	total, silence time.Duration
}

// until is the deadline of the next line of a request that began at start.
func (p patience) until(start time.Time) time.Time {
	if p.total > 0 {
		return start.Add(p.total)
	}
	return time.Now().Add(p.silence)
}

func (p patience) length() time.Duration { return max(p.total, p.silence) }
