package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestHundredCalls: of a hundred processes on one domain one runs, and each of the others says that it is busy. How long
// they took is for people to read: it depends on what else the host has to do.
func TestHundredCalls(t *testing.T) {
	const calls = 100
	s, program := newSite(t), filepath.Join(t.TempDir(), "domsnap")
	s.do(exec.Command("go", "build", "-o", program, "."))
	others := filepath.Join(s.dir, "others")
	// The one that runs goes on when all others have ended.
	s.shim("qemu-img", `[ "$1" != snapshot ] || until [ -e `+others+` ]; do sleep 0.1; done`)
	codes, longest := map[int]int{}, time.Duration(0)
	var wait sync.WaitGroup
	var mu sync.Mutex
	for range calls {
		wait.Go(func() {
			start := time.Now()
			cmd := s.program(nil, createInside...)
			cmd.Args[3] = program
			code := exitOf(cmd)
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
			if code == 4 {
				longest = max(longest, time.Since(start))
			}
			if codes[4] == calls-1 {
				s.write("others", 0o600, "")
			}
		})
	}
	wait.Wait()
	t.Logf("exit codes %v, busy after %s at most", codes, longest.Round(time.Millisecond))
	if codes[0] != 1 || codes[4] != calls-1 {
		t.Errorf("exit codes %v", codes)
	}
}

func exitOf(cmd *exec.Cmd) int {
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// shim has a tool do something first.
func (s *site) shim(tool, first string) {
	s.t.Helper()
	real, err := exec.LookPath(tool)
	if err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(s.tool, tool)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+first+"\nexec "+real+" \"$@\"\n"), 0o700); err != nil {
		s.t.Fatal(err)
	}
}
