//go:build failpoints

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"

	"github.com/domsnap/domsnap/methods/trace"
)

// What tests of crashes say to a program that is built for them.
const (
	// envAt is a point, and envThen a shell script to run when it is reached; the program waits for it. The script's
	// parent is the program.
	envAt   = "DOMSNAP_AT"
	envThen = "DOMSNAP_THEN"
	// envPoints is a file to which every point is written as it is reached, a line each.
	envPoints = "DOMSNAP_POINTS"
)

// withFailpoints makes each act two points, "before NAME#N" and "after NAME#N" for the Nth act of that name.
func withFailpoints(ctx context.Context) context.Context {
	f := &failpoints{at: os.Getenv(envAt), then: os.Getenv(envThen), points: os.Getenv(envPoints), counts: map[string]int{}}
	return trace.With(ctx, f.reach)
}

type failpoints struct {
	at, then, points string
	mu               sync.Mutex
	counts           map[string]int
}

func (f *failpoints) reach(act string, ended bool) {
	when := "before "
	if ended {
		when = "after "
	}
	f.mu.Lock()
	f.counts[when+act]++
	point := fmt.Sprintf("%s%s#%d", when, act, f.counts[when+act])
	f.put(point)
	f.mu.Unlock()
	if point == f.at {
		_ = exec.Command("/bin/sh", "-c", f.then).Run()
	}
}

func (f *failpoints) put(point string) {
	if f.points == "" {
		return
	}
	file, err := os.OpenFile(f.points, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer file.Close()
	_, _ = fmt.Fprintln(file, point)
}
