package quiesce_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/quiesce"
)

// The roles that this test program plays in processes of its own, and where they report what they do.
const (
	roleVariable   = "DOMSNAP_TEST_ROLE"
	socketVariable = "DOMSNAP_TEST_SOCKET"

	roleGuardian = "guardian"
	roleHolder   = "holder"
	roleMute     = "mute"
	roleWrong    = "wrong"
)

func TestMain(m *testing.M) {
	role, ok := os.LookupEnv(roleVariable)
	if !ok {
		os.Exit(m.Run())
	}
	if err := play(role); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func play(role string) error {
	switch role {
	case roleGuardian:
		in, ready := quiesce.GuardianPipes()
		if err := quiesce.SayReady(ready); err != nil {
			return err
		}
		dial := func(context.Context) (quiesce.Guest, error) { return reporter{}, nil }
		return quiesce.Guard(context.Background(), quiesce.Post{In: in, Dial: dial})
	case roleHolder:
		return holdForEver()
	case roleMute:
		return nil
	default:
		_, ready := quiesce.GuardianPipes()
		_, err := fmt.Fprintln(ready, "not what was asked for")
		return err
	}
}

// holdForEver holds the guest until it is killed.
func holdForEver() error {
	p, err := quiesce.StartGuardian(as(roleGuardian))
	if err != nil {
		return err
	}
	if err := p.Holding(quiesce.HoldFreeze); err != nil {
		return err
	}
	if err := (reporter{}).report("held"); err != nil {
		return err
	}
	select {}
}

// as is this program in a role.
func as(role string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// reporter is a guest that tells the test what was asked of it.
type reporter struct{}

func (reporter) report(what string) error {
	conn, err := net.Dial("unix", os.Getenv(socketVariable))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.WriteString(conn, what)
	return err
}

func (reporter) Ping(context.Context) error { return nil }

func (reporter) FreezeFilesystems(context.Context) (int, error) { return 0, nil }

func (r reporter) ThawFilesystems(context.Context) (int, error) { return 1, r.report("thaw") }

func (reporter) Frozen(context.Context) (bool, error) { return false, nil }

func (reporter) Pause(context.Context) error { return nil }

func (r reporter) Resume(context.Context) error { return r.report("resume") }

// listen is where the processes of this test report.
func listen(t *testing.T) *net.UnixListener {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Setenv(socketVariable, path)
	return l
}

// next is the next report.
func next(t *testing.T, l *net.UnixListener) string {
	t.Helper()
	if err := l.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatalf("wait for a report: %v", err)
	}
	defer conn.Close()
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func started(t *testing.T, inherit ...*os.File) *quiesce.Process {
	t.Helper()
	p, err := quiesce.StartGuardian(as(roleGuardian), inherit...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGuardianActsWhenItsHolderIsKilled(t *testing.T) {
	l := listen(t)
	holder := as(roleHolder)
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if got := next(t, l); got != "held" {
		t.Fatalf("the holder reports %q", got)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := next(t, l); got != "thaw" {
		t.Errorf("the guardian reports %q", got)
	}
	if err := holder.Wait(); err == nil {
		t.Error("the holder ended by itself")
	}
}

func TestGuardianThatIsDismissedWhileHoldingActs(t *testing.T) {
	l := listen(t)
	p := started(t)
	for _, h := range []quiesce.Hold{quiesce.HoldFreeze, quiesce.HoldPause} {
		if err := p.Holding(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Dismiss(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"resume", "thaw"} {
		if got := next(t, l); got != want {
			t.Errorf("the guardian reports %q, want %q", got, want)
		}
	}
}

func TestGuardianHoldsWhatItInheritsUntilItEnds(t *testing.T) {
	listen(t)
	lock, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	p := started(t, lock)
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := os.Open(lock.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := syscall.Flock(int(again.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		t.Error("the lock was free while the guardian lived")
	}
	if err := p.Dismiss(); err != nil {
		t.Fatal(err)
	}
	// It has nothing to do, so it ends; if not, the test hangs here.
	if err := syscall.Flock(int(again.Fd()), syscall.LOCK_EX); err != nil {
		t.Error(err)
	}
}

func TestGuardianThatDoesNotGetReadyIsAnErrorAndLeavesNothing(t *testing.T) {
	for _, role := range []string{roleMute, roleWrong} {
		t.Run(role, func(t *testing.T) {
			before := openFiles(t)
			cmd := as(role)
			if _, err := quiesce.StartGuardian(cmd); err == nil {
				t.Fatal("it was taken for ready")
			}
			if cmd.ProcessState == nil {
				t.Error("the process was not waited for")
			}
			if after := openFiles(t); after != before {
				t.Errorf("there are %d open files, were %d", after, before)
			}
		})
	}
}

func TestGuardianThatCannotBeStartedIsAnErrorAndLeavesNothing(t *testing.T) {
	before := openFiles(t)
	if _, err := quiesce.StartGuardian(exec.Command(filepath.Join(t.TempDir(), "none"))); err == nil {
		t.Fatal("it was started")
	}
	if after := openFiles(t); after != before {
		t.Errorf("there are %d open files, were %d", after, before)
	}
}

// openFiles counts what this process has open, without what the runtime keeps.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

var _ quiesce.Guest = reporter{}
