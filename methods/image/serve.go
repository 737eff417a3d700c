package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/image/nbd"
)

const (
	qemuNBD = "qemu-nbd"
	// startTimeout is how long qemu-nbd may take to open the image, and endTimeout to end when it is told to.
	startTimeout = 30 * time.Second
	endTimeout   = 30 * time.Second
	pollSocket   = 2 * time.Millisecond
)

// server is an image that a qemu-nbd of our own serves to us alone.
type server struct {
	*nbd.Client
	process *exec.Cmd
	stderr  *bytes.Buffer
	// ended has what became of the process.
	ended chan error
	dir   string
}

// serve opens an image through QEMU's driver for it.
func serve(ctx context.Context, i Image, mode int) (_ methods.Writable, err error) {
	name, err := i.QEMUName(mode == os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	if command.Missing(qemuNBD) != "" {
		return nil, methods.Unsupportedf("%s is missing: install qemu-utils", qemuNBD)
	}
	s, err := start(i.arguments(name, mode))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", i.Source, err)
	}
	if err := s.connect(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", i.Source, err), s.end())
	}
	return s, nil
}

// arguments let the server end with its first client, so that it never outlives us.
func (i Image) arguments(name string, mode int) []string {
	args := []string{"--cache=writeback", "--discard=unmap", "--detect-zeroes=unmap"}
	if mode == os.O_RDONLY {
		args = []string{"--read-only"}
	}
	if i.Snapshot != "" {
		args = append(args, "--load-snapshot=snapshot.name="+strings.ReplaceAll(i.Snapshot, ",", ",,"))
	}
	return append(args, name)
}

func start(args []string) (*server, error) {
	// Nobody else may come in at the socket's door.
	dir, err := os.MkdirTemp("", "domsnap-nbd-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, stderr: &bytes.Buffer{}, ended: make(chan error, 1)}
	s.process = exec.Command(qemuNBD, append([]string{"--socket=" + s.socket()}, args...)...)
	s.process.Stderr, s.process.Env = s.stderr, command.Environment()
	if err := s.process.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() { s.ended <- s.process.Wait() }()
	return s, nil
}

func (s *server) socket() string { return filepath.Join(s.dir, "socket") }

// connect waits until the server answers, or ends without. It listens before it has opened the image.
func (s *server) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := s.negotiate()
		if err == nil {
			return nil
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			return s.died(err)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for %s: %w", qemuNBD, ctx.Err()), err)
		case <-time.After(pollSocket):
		}
	}
}

func (s *server) negotiate() error {
	conn, err := net.Dial("unix", s.socket())
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		return errors.Join(err, conn.Close())
	}
	if s.Client, err = nbd.Open(conn); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// died sorts out why qemu-nbd ended.
func (s *server) died(err error) error {
	said := s.stderr.String()
	err = &command.Error{Name: qemuNBD, Args: s.process.Args[1:], Stderr: said, Err: err}
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

// Close implements methods.Content. What was written is durable after Sync only.
func (s *server) Close() error {
	return errors.Join(s.Client.Close(), s.end())
}

// end waits for the server, which ends with its client, and does not wait for ever.
func (s *server) end() error {
	defer os.RemoveAll(s.dir)
	if s.Client == nil {
		_ = s.process.Process.Kill()
	}
	select {
	case err := <-s.ended:
		if s.Client == nil {
			return nil
		}
		return err
	case <-time.After(endTimeout):
		return errors.Join(fmt.Errorf("wait for the end of %s: %w", qemuNBD, context.DeadlineExceeded), s.process.Process.Kill())
	}
}

// QEMUName is the image as a file name for QEMU's tools: json: and the words of its blockdev-add, so that no name is
// ever parsed and no format guessed. It fails with ErrUnsupported for a source that QEMU has no driver for.
func (i Image) QEMUName(readOnly bool) (string, error) {
	if i.Format == "" {
		return "", methods.Unsupportedf("the format of %s is not known: set it in the domain's <driver type='…'/>", i.Source)
	}
	protocol, err := protocolOf(i.Source)
	if err != nil {
		return "", err
	}
	node := map[string]any{"driver": i.Format, "file": protocol}
	if readOnly {
		node["force-share"] = true
	}
	text, err := command.JSON(node)
	return "json:" + string(text), err
}
