package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram has this test program be domsnap.
const asProgram = "DOMSNAP_TEST_AS_PROGRAM"

// testDomain is the UUID of the test hypervisor's domain. It can be paused and resumed, and has no agent: freezing and
// thawing it always fails.
const testDomain = "6695eb01-f6a4-8304-79aa-97f2502e193f"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(os.Args))
	}
	os.Exit(m.Run())
}

// watcher is a guardian in a process of its own.
type watcher struct {
	t    *testing.T
	cmd  *exec.Cmd
	tell *os.File
}

// startWatcher starts a guardian that is ready. It tries for a second to let its guest go.
func startWatcher(t *testing.T, stderr *os.File) *watcher {
	t.Helper()
	in, tell := pipe(t)
	ready, say := pipe(t)
	cmd := exec.Command(os.Args[0], guardianVerb, "--connect", testHypervisor, "--insist", "1s", "--", testDomain, "test")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.ExtraFiles, cmd.Stderr = []*os.File{in, say}, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := &watcher{t, cmd, tell}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	for _, f := range []*os.File{in, say, stderr} {
		f.Close()
	}
	if line, err := bufio.NewReader(ready).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the guardian said %q, %v", line, err)
	}
	return w
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}

// leave tells the guardian of holds and ends, as a holder does that is killed.
func (w *watcher) leave(holds ...string) {
	w.t.Helper()
	for _, h := range holds {
		if _, err := fmt.Fprintln(w.tell, h); err != nil {
			w.t.Error(err)
		}
	}
	if err := w.tell.Close(); err != nil {
		w.t.Error(err)
	}
}

// wantExit waits for the guardian to end by itself.
func (w *watcher) wantExit(code int) {
	w.t.Helper()
	_ = w.cmd.Wait()
	if got := w.cmd.ProcessState; got.ExitCode() != code {
		w.t.Errorf("the guardian ended with %s, want exit code %d", got, code)
	}
}

func (w *watcher) name() string {
	w.t.Helper()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.cmd.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	name, _, _ := strings.Cut(string(line), "\x00")
	return name
}

func TestGuardianShowsItsName(t *testing.T) {
	_, stderr := pipe(t)
	w := startWatcher(t, stderr)
	if got := w.name(); got != guardianName {
		t.Errorf("it shows as %q", got)
	}
	w.leave()
	w.wantExit(0)
}

// TestGuardianOutlivesSignals: what ends all others of a session, a unit or a terminal does not end the guardian, which
// then does its work.
func TestGuardianOutlivesSignals(t *testing.T) {
	said, stderr := pipe(t)
	w := startWatcher(t, stderr)
	for _, s := range []syscall.Signal{
		syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM,
	} {
		if err := w.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	w.leave("freeze", "pause")
	message, err := io.ReadAll(said)
	if err != nil || !strings.Contains(string(message), "domsnap: let domain test go: ") {
		t.Errorf("it said %q, %v", message, err)
	}
	w.wantExit(8)
}

func TestGuardianThatNobodyReadsGoesOn(t *testing.T) {
	said, stderr := pipe(t)
	w := startWatcher(t, stderr)
	if err := said.Close(); err != nil {
		t.Fatal(err)
	}
	w.leave("freeze")
	w.wantExit(8)
}

func TestGuardianLetsAPausedGuestGo(t *testing.T) {
	said, stderr := pipe(t)
	w := startWatcher(t, stderr)
	w.leave("pause")
	if message, err := io.ReadAll(said); err != nil || len(message) > 0 {
		t.Errorf("it said %q, %v", message, err)
	}
	w.wantExit(0)
}

// TestGuardianThatWatchesKeepsNobodyWaiting: who reads what the caller says is done when the caller is, and need not wait
// for a freeze that may still come.
func TestGuardianThatWatchesKeepsNobodyWaiting(t *testing.T) {
	said, stderr := pipe(t)
	w := startWatcher(t, stderr)
	w.leave("freeze", "watch", "released")
	if err := said.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if message, err := io.ReadAll(said); err != nil || len(message) > 0 {
		t.Errorf("it said %q, %v", message, err)
	}
	if err := w.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("it does not watch any more: %v", err)
	}
}
