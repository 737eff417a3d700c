package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/domsnap/domsnap/methods/command"
)

// TestProgramHoldsTheLock: the process that took the lock lets it go, as if it was killed, while a program of it is at work.
func TestProgramHoldsTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, other := locked(t, path), open(t, path)
	ctx := command.WithLock(t.Context(), lock)
	out, err := command.Host{}.Run(ctx, "sh", "-c", "cat; exec 3<&0 >/dev/null 2>&1; sleep 30 <&3 & echo $! >"+path+".pid")
	if err != nil || len(out) > 0 {
		t.Fatalf("read %q from its input, %v", out, err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		t.Error("the lock was free while the program was at work")
	}
	pid, err := os.ReadFile(path + ".pid")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (command.Host{}).Run(t.Context(), "kill", "-9", strings.TrimSpace(string(pid))); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Errorf("the program has ended, and the lock is not free: %v", err)
	}
}

func locked(t *testing.T, path string) *os.File {
	t.Helper()
	f := open(t, path)
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return f
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}
