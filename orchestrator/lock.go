package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockWait is how long a second call waits before it answers busy.
const lockWait = 500 * time.Millisecond

// lock takes the domain's lock. The file stays for ever, and its lock ends with the last process that holds it: us, our
// guardian, or a program that one of us who was killed has left at work.
func (o *Orchestrator) lock(ctx context.Context, uuid string) (*os.File, error) {
	dir := filepath.Join(o.StateDir, "locks")
	// QEMU, which need not be root, has to get through to what a method has it write below.
	if err := errors.Join(os.MkdirAll(o.StateDir, 0o711), os.MkdirAll(dir, 0o700)); err != nil {
		return nil, fmt.Errorf("make the lock directory: %w", err)
	}
	if err := checkPrivate(o.StateDir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, filepath.Base(uuid)), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	if err := flock(ctx, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// checkPrivate refuses a directory of state that others could put things into.
func checkPrivate(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the state directory: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(st.Uid) == os.Geteuid() && info.Mode().Perm()&0o022 == 0 {
		return nil
	}
	return refuse("choose another --state-dir, or make it root's own: chown root, chmod go-w", "others may write into %s", dir)
}

func flock(ctx context.Context, f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("take the lock: %w", err)
		}
		select {
		case <-ctx.Done():
			return &Problem{Kind: ErrBusy, Err: ErrBusy, Hint: "try again when it is done"}
		case <-time.After(20 * time.Millisecond):
		}
	}
}
