package image

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

// daemon is a qemu-nbd of ours.
type daemon struct {
	process *exec.Cmd
	stderr  *bytes.Buffer
	// ended has what became of the process.
	ended chan error
}

// launch starts qemu-nbd, as one that lives on without us until its client has gone.
func launch(args []string) (*daemon, error) { return start(args, nil, 0) }

// launchBound starts a qemu-nbd that only reads, and that is killed when this process ends, however that does. It keeps a
// file open besides, if there is one.
func launchBound(args []string, keep *os.File) (*daemon, error) {
	return start(args, keep, syscall.SIGKILL)
}

func start(args []string, keep *os.File, death syscall.Signal) (*daemon, error) {
	d := &daemon{process: exec.Command(qemuNBD, args...), stderr: &bytes.Buffer{}, ended: make(chan error, 1)}
	d.process.Stderr, d.process.Env = d.stderr, command.Environment()
	d.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: death}
	if keep != nil {
		d.process.ExtraFiles = []*os.File{keep}
	}
	started := make(chan error)
	go func() {
		// The signal comes when the thread ends that has started the process.
		runtime.LockOSThread()
		err := d.process.Start()
		started <- err
		if err == nil {
			d.ended <- d.process.Wait()
		}
	}()
	return d, <-started
}

// died sorts out why qemu-nbd ended.
func (d *daemon) died(err error) error {
	said := d.stderr.String()
	err = &command.Error{Name: qemuNBD, Args: d.process.Args[1:], Stderr: said, Err: err}
	switch {
	case strings.Contains(said, "Unknown driver"), strings.Contains(said, "Unknown protocol"):
		return fmt.Errorf("%w: %w: install qemu-block-extra", err, methods.ErrUnsupported)
	case strings.Contains(said, "No such file or directory"):
		return fmt.Errorf("%w: %w", err, methods.ErrNotFound)
	case strings.Contains(said, "Failed to get"):
		return fmt.Errorf("%w: %w", err, methods.Blockedf("somebody else has it open"))
	}
	return err
}
