package engine

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running engine: a process group of its own, three pipes, and nothing else of ours.
type process struct {
	cmd    *exec.Cmd
	pipes  pipes
	lines  *lineReader
	stderr *tail
	// exited is closed when the engine has ended and before it is reaped, so that its group keeps its number.
	exited chan struct{}

	mu     sync.Mutex
	reaped bool
}

// environment is all an engine gets: variables of domsnap's caller change what tools do.
func environment() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/",
		fmt.Sprintf("DOMSNAP_PROTOCOL=%d", Version),
	}
}

func startProcess(path string) (*process, error) {
	if err := keepFiles(); err != nil {
		return nil, err
	}
	child, ours, err := newPipes()
	if err != nil {
		return nil, err
	}
	p := &process{pipes: ours, lines: newLineReader(ours.stdout), exited: make(chan struct{})}
	p.cmd = &exec.Cmd{
		Path: path, Args: []string{path}, Env: environment(), Dir: "/",
		Stdin: child.stdin, Stdout: child.stdout, Stderr: child.stderr,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	err = p.cmd.Start()
	child.close()
	if err != nil {
		ours.close()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	p.stderr = follow(ours.stderr)
	go p.watch()
	return p, nil
}

// keepFiles keeps files that libraries opened, or that we inherited, from the children of this process. Go's own are
// kept already.
func keepFiles() error {
	if err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("keep files from engines: %w", err)
	}
	return nil
}

func (p *process) watch() {
	defer close(p.exited)
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// kill ends the engine and whatever it started.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		// Its error is that there is nobody left.
		_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
	}
}

// gone waits until the engine has ended by itself.
func (p *process) gone(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

// reap kills what is left of the group, waits for it and lets go of everything. Its error is the engine's exit.
func (p *process) reap() error {
	p.kill()
	<-p.exited
	p.mu.Lock()
	err := p.cmd.Wait()
	p.reaped = true
	p.mu.Unlock()
	p.stderr.wait(100 * time.Millisecond)
	return err
}

// pipes are the ends of one side.
type pipes struct {
	stdin, stdout, stderr *os.File
}

func newPipes() (child, ours pipes, err error) {
	for _, ends := range []struct{ read, write **os.File }{
		{&child.stdin, &ours.stdin}, {&ours.stdout, &child.stdout}, {&ours.stderr, &child.stderr},
	} {
		if *ends.read, *ends.write, err = os.Pipe(); err != nil {
			child.close()
			ours.close()
			return child, ours, fmt.Errorf("make a pipe: %w", err)
		}
	}
	widen(ours.stdout)
	return child, ours, nil
}

// widen saves switches between the two sides where much is read. A pipe that stays as it is does as well.
func widen(f *os.File) {
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, maxRead) })
	}
}

func (p pipes) close() {
	for _, f := range []*os.File{p.stdin, p.stdout, p.stderr} {
		if f != nil {
			// Closing a pipe loses nothing.
			_ = f.Close()
		}
	}
}
