//go:build failpoints

package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/domsnap/domsnap/methods/trace"
)

// What tests of crashes say to a program that is built for them.
const (
	// killAt is the point at which the program ends at once, as by kill -9.
	killAt = "DOMSNAP_KILL_AT"
	// pointsTo is a file to which every point is written as it is reached, a line each.
	pointsTo = "DOMSNAP_POINTS_TO"
)

// withFailpoints makes each act two points, "before NAME#N" and "after NAME#N" for the Nth act of that name.
func withFailpoints(ctx context.Context) context.Context {
	f := &failpoints{killAt: os.Getenv(killAt), pointsTo: os.Getenv(pointsTo), counts: map[string]int{}}
	return trace.With(ctx, f.reach)
}

type failpoints struct {
	killAt, pointsTo string
	mu               sync.Mutex
	counts           map[string]int
}

func (f *failpoints) reach(act string, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	when := "before "
	if ended {
		when = "after "
	}
	f.counts[when+act]++
	point := fmt.Sprintf("%s%s#%d", when, act, f.counts[when+act])
	f.put(point)
	if point == f.killAt {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (f *failpoints) put(point string) {
	if f.pointsTo == "" {
		return
	}
	file, err := os.OpenFile(f.pointsTo, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer file.Close()
	_, _ = fmt.Fprintln(file, point)
}
