package quiesce

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a guardian in a process of its own.
type Process struct {
	cmd  *exec.Cmd
	tell *os.File
}

// startTimeout is how long a guardian may take to get ready.
const startTimeout = 10 * time.Second

// The files a guardian is started with.
const (
	guardianIn    = 3
	guardianReady = 4
)

// StartGuardian runs cmd as a guardian and waits until it is ready. The process has a session of its own, so that it
// outlives us and our terminal, and inherits the files, so that locks on them are held until it ends.
func StartGuardian(cmd *exec.Cmd, inherit ...*os.File) (*Process, error) {
	in, tell, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the guardian's pipe: %w", err)
	}
	defer in.Close()
	ready, say, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the guardian's pipe: %w", err), tell.Close())
	}
	defer ready.Close()
	cmd.ExtraFiles = append([]*os.File{in, say}, inherit...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	err = errors.Join(err, say.Close())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the guardian: %w", err), tell.Close())
	}
	p := &Process{cmd: cmd, tell: tell}
	if err := awaitReady(ready); err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return p, nil
}

// awaitReady waits for the guardian's word, but not for ever: its connection to the hypervisor may hang.
func awaitReady(ready *os.File) error {
	if err := ready.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return fmt.Errorf("bound the guardian's start: %w", err)
	}
	line, err := bufio.NewReader(ready).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", errNotReady, err)
	}
	if line != lineReady+"\n" {
		return errNotReady
	}
	return nil
}

// kill ends a guardian that never got ready, and so holds nobody.
func (p *Process) kill() error {
	err := errors.Join(p.tell.Close(), p.cmd.Process.Kill())
	var exit *exec.ExitError
	if wait := p.cmd.Wait(); wait != nil && !errors.As(wait, &exit) {
		err = errors.Join(err, wait)
	}
	return err
}

// GuardianPipes are the ends that StartGuardian gave to this process, which is a guardian.
func GuardianPipes() (in io.Reader, ready io.WriteCloser) {
	return os.NewFile(guardianIn, "guardian-in"), os.NewFile(guardianReady, "guardian-ready")
}

// KeepFiles has the files of a guardian stay open when its process goes on as another program: the two pipes, and all
// that it inherited behind them.
func KeepFiles(inherited int) error {
	for fd := guardianIn; fd <= guardianReady+inherited; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil && !errors.Is(err, unix.EBADF) {
			return fmt.Errorf("keep file %d open: %w", fd, err)
		}
	}
	return nil
}

// SayReady ends the start of a guardian: from now on it can let the guest go.
func SayReady(ready io.WriteCloser) error {
	_, err := fmt.Fprintln(ready, lineReady)
	return errors.Join(err, ready.Close())
}

// Holding implements Guardian.
func (p *Process) Holding(h Hold) error { return p.say(string(h)) }

// Released implements Guardian.
func (p *Process) Released() error { return p.say(lineReleased) }

// Watch implements Guardian.
func (p *Process) Watch() error { return p.say(lineWatch) }

func (p *Process) say(line string) error {
	_, err := fmt.Fprintln(p.tell, line)
	return err
}

// Dismiss ends the guardian. One that still has something to do does it first, without us.
func (p *Process) Dismiss() error {
	if err := p.tell.Close(); err != nil {
		return err
	}
	return p.cmd.Process.Release()
}
