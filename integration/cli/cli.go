// Package cli runs domsnap as people do: as a process, by its arguments, its exit code and its JSON.
package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Program is an installed domsnap.
type Program struct {
	// Path is the executable.
	Path string
	// StateDir is where it keeps locks and its journal.
	StateDir string
	// ToolDir goes before PATH, for tools that misbehave; may be empty.
	ToolDir string
	// Env is added to the environment, as NAME=VALUE.
	Env []string
}

// FromEnvironment is the program that the variable DOMSNAP names.
func FromEnvironment(stateDir string) (Program, error) {
	path := os.Getenv("DOMSNAP")
	if path == "" {
		return Program{}, errors.New("find domsnap: the variable DOMSNAP does not name it")
	}
	return Program{Path: path, StateDir: stateDir}, nil
}

// Result is how a run ended.
type Result struct {
	Code   int
	Stdout []byte
	Stderr string
	Took   time.Duration
	// MaxRSS is the most memory it had, in KiB.
	MaxRSS int64
}

// Command is a run that is not started yet. Its output is JSON. When the context ends it is asked to stop.
func (p Program) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.Path, append([]string{"-o", "json", "--state-dir", p.StateDir}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = append(os.Environ(), p.Env...)
	if p.ToolDir != "" {
		cmd.Env = append(cmd.Env, "PATH="+p.ToolDir+":"+os.Getenv("PATH"))
	}
	return cmd
}

// Run runs it to its end, whatever exit code that is.
func (p Program) Run(ctx context.Context, args ...string) (Result, error) {
	cmd := p.Command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	if err := cmd.Run(); cmd.ProcessState == nil {
		return Result{}, fmt.Errorf("run domsnap: %w", err)
	}
	return Result{
		Code: cmd.ProcessState.ExitCode(), Stdout: stdout.Bytes(), Stderr: stderr.String(),
		Took: time.Since(start), MaxRSS: maxRSS(cmd.ProcessState),
	}, nil
}

// Do runs what has to succeed and decodes its answer.
func (p Program) Do(ctx context.Context, into any, args ...string) (Result, error) {
	r, err := p.Run(ctx, args...)
	if err != nil {
		return r, err
	}
	if r.Code != 0 {
		return r, fmt.Errorf("run domsnap %s: exit %d: %s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	if err := json.Unmarshal(r.Stdout, into); err != nil {
		return r, fmt.Errorf("read what domsnap %s says: %w", strings.Join(args, " "), err)
	}
	return r, nil
}
