package methodtest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
)

// trial is a T that keeps a failure to itself.
type trial struct {
	parent  T
	ctx     context.Context
	mu      sync.Mutex
	errors  []string
	cleanup []func()
}

func newTrial(parent T) *trial { return &trial{parent: parent} }

// run runs a check to its end, and its cleanups.
func (t *trial) run(f func()) {
	ctx, cancel := context.WithCancel(t.parent.Context())
	defer cancel()
	t.ctx = ctx
	t.step(f)
	cancel()
	for len(t.cleanup) > 0 {
		last := len(t.cleanup) - 1
		next := t.cleanup[last]
		t.cleanup = t.cleanup[:last]
		t.step(next)
	}
}

// step runs f on a goroutine of its own, so that Fatalf can end it.
func (t *trial) step(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				t.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		f()
	}()
	<-done
}

func (t *trial) failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.errors) > 0
}

func (t *trial) report() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(slices.Compact(t.errors), "; ")
}

// Helper implements T.
func (*trial) Helper() {}

// Errorf implements T.
func (t *trial) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errors = append(t.errors, fmt.Sprintf(format, args...))
}

// Fatalf implements T.
func (t *trial) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// Logf implements T.
func (t *trial) Logf(format string, args ...any) { t.parent.Logf(format, args...) }

// Cleanup implements T.
func (t *trial) Cleanup(f func()) { t.cleanup = append(t.cleanup, f) }

// Context implements T.
func (t *trial) Context() context.Context { return t.ctx }

// Name implements T.
func (t *trial) Name() string { return t.parent.Name() }

// TempDir implements T.
func (t *trial) TempDir() string {
	dir, err := os.MkdirTemp(t.parent.TempDir(), "trial")
	if err != nil {
		t.Fatalf("make a directory: %v", err)
	}
	return dir
}
