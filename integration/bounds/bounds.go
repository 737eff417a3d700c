// Package bounds holds parsers of what others wrote to how much one document may cost, in fuzzers and in tests with the
// worst there is of a size.
package bounds

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What reading one document may cost.
const (
	// Memory counts all that is allocated, also what is let go of at once.
	Memory = 64 << 20
	// CPU is the time of the thread that reads, however busy the machine is. Where a machine is slow, in the lab and with
	// the race detector it is Plain times what a plain list of the size of Worst takes there.
	CPU = 100 * time.Millisecond
	// Plain is about CPU on an ordinary machine.
	Plain = 5
)

// tries is how often a document is read that seems to cost too much. What only one of them costs is not the parser's
// doing: a garbage collection, or what another goroutine allocates.
const tries = 3

// Within runs parse, and fails the test where that costs more than one document may. It calls parse again to be sure,
// so parse must do the same every time.
func Within(t testing.TB, parse func()) {
	t.Helper()
	within(t, parse, plainList)
}

// within reads a plain list at the side of each document that takes long: how fast a machine is can change.
func within(t testing.TB, parse, plain func()) {
	t.Helper()
	var err error
	for range tries {
		c, limit := measure(t, parse), CPU
		if c.cpu > limit {
			limit = max(limit, Plain*measure(t, plain).cpu)
		}
		if err = c.excess(limit); err == nil {
			return
		}
	}
	t.Error(err)
}

// cost is what a document took.
type cost struct {
	memory uint64
	cpu    time.Duration
}

// excess says what is more than it may be.
func (c cost) excess(limit time.Duration) error {
	if c.memory > Memory {
		return fmt.Errorf("reading it allocates %d bytes, more than %d", c.memory, Memory)
	}
	if c.cpu > limit {
		return fmt.Errorf("reading it takes %v of CPU time, more than %v", c.cpu, limit)
	}
	return nil
}

// plainList is a document of the size of Worst that costs no more than its size.
func plainList() {
	var list []struct{ Start int }
	_ = json.Unmarshal(Stretch(`[{}`, `,{"start":1}`, `]`), &list)
}

func measure(t testing.TB, parse func()) cost {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := spent(t)
	parse()
	after := spent(t)
	return cost{after.memory - before.memory, after.cpu - before.cpu}
}

// spent is what this process has allocated and this thread has run.
func spent(t testing.TB) cost {
	t.Helper()
	sample := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample[:])
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
		t.Fatal(err)
	}
	return cost{sample[0].Value.Uint64(), time.Duration(usage.Utime.Nano() + usage.Stime.Nano())}
}
