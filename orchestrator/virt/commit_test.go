package virt

import (
	"math/rand/v2"
	"testing"
	"time"
)

// stalledAt asks at every second what is left of a job, and gives when it was said to be stalled; 0 for never.
func stalledAt(length time.Duration, left func(at time.Duration) uint64) time.Duration {
	begin := time.Now()
	way := newApproach(begin)
	for at := time.Duration(0); at < length; at += time.Second {
		if way.stalled(left(at), begin.Add(at)) {
			return at
		}
	}
	return 0
}

func TestCommitThatComesNearerGoesOnForHours(t *testing.T) {
	const size = 1 << 40
	for name, left := range map[string]func(time.Duration) uint64{
		"evenly": func(at time.Duration) uint64 { return size - uint64(at/time.Second) },
		"at first nothing is known": func(at time.Duration) uint64 {
			if at < time.Minute {
				return 0
			}
			return size - uint64(at/time.Second)
		},
		"at times the guest writes more": func(at time.Duration) uint64 {
			return size - uint64(at/time.Second)<<20 + rand.Uint64N(1<<24)
		},
	} {
		if at := stalledAt(12*time.Hour, left); at != 0 {
			t.Errorf("%s: given up at %s", name, at)
		}
	}
}

func TestCommitThatComesNoNearerIsGivenUp(t *testing.T) {
	for name, left := range map[string]func(time.Duration) uint64{
		"it stands still":        func(time.Duration) uint64 { return 5 << 20 },
		"the pivot always fails": func(time.Duration) uint64 { return 0 },
		"the guest is quicker":   func(at time.Duration) uint64 { return uint64(at) },
		"it stands still in the end": func(at time.Duration) uint64 {
			return uint64(max(0, 30*time.Minute-at))
		},
		"it is close, and the guest does not stop": func(time.Duration) uint64 { return rand.Uint64N(64 << 20) },
	} {
		if at := stalledAt(12*time.Hour, left); at == 0 {
			t.Errorf("%s: never given up", name)
		}
	}
}
