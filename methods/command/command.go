// Package command runs the storage tools: by argument list, never by a shell, in a clean environment.
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
)

// Runner runs a program to its end. Tests put a transcript in its place.
type Runner interface {
	// Run gives the standard output. A program that ends with another exit code than 0 is an *Error.
	Run(ctx context.Context, name string, args ...string) ([]byte, error)
}

// Host runs programs on this machine. The zero value is ready.
type Host struct{}

// Run implements Runner. When the context ends the program is asked to stop and, a second later, killed.
func (h Host) Run(ctx context.Context, name string, args ...string) ([]byte, error) {
	var stdout bytes.Buffer
	err := h.Talk(ctx, &stdout, name, args...)
	return stdout.Bytes(), err
}

// Talk implements Talker. When the context ends it does as Run.
func (Host) Talk(ctx context.Context, said io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = Environment()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input(ctx), said, &stderr
	err := trace.Do(ctx, act(name, args), cmd.Run)
	if errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		// It ended well. A daemon that it has started keeps its output open, and has nothing more to say here.
		err = nil
	}
	if err != nil {
		return &Error{Name: name, Args: args, Stderr: stderr.String(), Err: err}
	}
	return nil
}

// act names a run by the program, and by the verb of a program that has several.
func act(name string, args []string) string {
	isWord := func(r rune) bool { return r >= 'a' && r <= 'z' }
	if len(args) > 0 && strings.IndexFunc(args[0], func(r rune) bool { return !isWord(r) }) < 0 {
		name += " " + args[0]
	}
	return "run " + name
}

// Environment is what every child of domsnap gets, and nothing else: variables like LVM_SYSTEM_DIR,
// CEPH_ARGS or LD_PRELOAD change what a tool does.
func Environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
}

// Missing is the first of the programs that this host does not have, or empty.
func Missing(programs ...string) string {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return p
		}
	}
	return ""
}

// Error is a program that did not end well.
type Error struct {
	Name   string
	Args   []string
	Stderr string
	Err    error
}

// Error is the program and the last line it had to say.
func (e *Error) Error() string {
	said := lastLine(e.Stderr)
	if said == "" {
		said = e.Err.Error()
	}
	return fmt.Sprintf("run %s: %s", e.Name, said)
}

// Format prints with %+v the whole command and all of its standard error.
func (e *Error) Format(s fmt.State, verb rune) {
	if verb == 'v' && s.Flag('+') {
		fmt.Fprintf(s, "run %s %q: %v\n%s", e.Name, e.Args, e.Err, e.Stderr)
		return
	}
	fmt.Fprint(s, e.Error())
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes a program that this host does not have methods.ErrUnsupported.
func (e *Error) Is(target error) bool {
	return target == methods.ErrUnsupported && errors.Is(e.Err, exec.ErrNotFound)
}

// ExitCode is the program's exit code, or -1 when it did not exit by itself.
func (e *Error) ExitCode() int {
	var exit *exec.ExitError
	if errors.As(e.Err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
