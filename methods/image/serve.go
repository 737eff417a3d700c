package image

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
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
	pollEnd      = 200 * time.Millisecond
)

// server is an image that a qemu-nbd of our own serves to us alone.
type server struct {
	*nbd.Client
	*daemon
	dir string
}

// serve opens an image through QEMU's driver for it.
func serve(ctx context.Context, i Image, mode int) (_ methods.Writable, err error) {
	name, err := i.QEMUName(ctx, mode == os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	if command.Missing(qemuNBD) != "" {
		return nil, methods.Unsupportedf("%s is missing: install qemu-utils", qemuNBD)
	}
	s, err := startServer(i.arguments(name, mode))
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

func startServer(args []string) (*server, error) {
	// Nobody else may come in at the socket's door.
	dir, err := os.MkdirTemp("", "domsnap-nbd-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	if s.daemon, err = launch(append([]string{"--socket=" + s.socket()}, args...)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
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
