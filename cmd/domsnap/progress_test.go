package main

import (
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/orchestrator"
)

// TestProgressTellsRateAndTimeLeft: of what is done since it was first told of, which may be a good part of it after a cut.
func TestProgressTellsRateAndTimeLeft(t *testing.T) {
	p, start := &progress{}, time.Now()
	at := func(done int64, after time.Duration) string {
		return p.pace(orchestrator.Event{Step: "replicate vda", Current: done << 20, Total: 100 << 20}, start.Add(after))
	}
	if said := at(40, 0) + at(41, time.Second/2); said != "" {
		t.Errorf("too early it says %q", said)
	}
	if said := at(60, 2*time.Second); said != ", 10.0 MiB/s, 4s left" {
		t.Errorf("it says %q", said)
	}
	var drawn strings.Builder
	p.to = &drawn
	p.show(orchestrator.Event{Step: "replicate vda", Current: 1, Total: 2})
	p.show(orchestrator.Event{Step: "replicate vda", Done: true})
	if len(p.began) != 0 {
		t.Errorf("it remembers %v", p.began)
	}
}
