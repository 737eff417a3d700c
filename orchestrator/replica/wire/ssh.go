package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

const (
	// remoteCommand is what runs over there, the same for everybody.
	remoteCommand = "domsnap replica-serve"
	// goodbye is how long ssh may take to end.
	goodbye = 10 * time.Second
)

// session is an ssh that leads to the other side.
type session struct {
	cmd *exec.Cmd
	io.Reader
	io.WriteCloser
	said tail
}

// connect does not wait for the other side.
func connect(ctx context.Context, t Target) (Conn, error) {
	s := &session{cmd: exec.CommandContext(ctx, "ssh", t.arguments()...)}
	s.cmd.Stderr, s.cmd.WaitDelay = &s.said, goodbye
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		s.Reader = out
		s.WriteCloser, err = s.cmd.StdinPipe()
	}
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("run ssh: %w", err)
	}
	return s, nil
}

// Close says what ssh, or the other side, had to say.
func (s *session) Close() error {
	errClose := s.WriteCloser.Close()
	// Who has nothing to read any more ends by itself.
	timer := time.AfterFunc(goodbye, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	_, _ = io.Copy(io.Discard, s.Reader)
	err := s.cmd.Wait()
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("ssh: %w: %s", err, strings.TrimSpace(string(s.said))), ignoreClosed(errClose))
}

func ignoreClosed(err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}

// tail is the last that was written to it.
type tail []byte

const maxTail = 4 << 10

func (t *tail) Write(text []byte) (int, error) {
	*t = append(*t, text...)
	if len(*t) > maxTail {
		*t = (*t)[len(*t)-maxTail:]
	}
	return len(text), nil
}
