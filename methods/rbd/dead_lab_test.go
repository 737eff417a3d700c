//go:build lab && rbd

package rbd

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ceph/go-ceph/rbd"

	"github.com/domsnap/domsnap/methods"
)

// holdVariable makes the test binary a client that holds the image of that name.
const holdVariable = "DOMSNAP_TEST_HOLD"

// TestLabHold is that client: it takes the image's lock by writing, says so, and stays.
func TestLabHold(t *testing.T) {
	name := os.Getenv(holdVariable)
	if name == "" {
		t.Skip("only of use to the tests that start it")
	}
	opened, err := connect(methods.RBDImage{Pool: "rbd", Image: name})
	must(t, err)
	image, err := rbd.OpenImage(opened.(*connection).ioctx, name, rbd.NoSnapshot)
	must(t, err)
	fill(t, image, 1, mebibyte)
	os.Stdout.WriteString("held\n")
	time.Sleep(2 * time.Minute)
}

// hold starts a client of its own that has the image open and locked.
func (b *bench) hold() *os.Process {
	b.t.Helper()
	return b.client("TestLabHold", holdVariable+"="+b.disk.Source.RBD.Image)
}

// client starts this test binary as another client, with a variable in its environment.
func (b *bench) client(test, variable string) *os.Process {
	b.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), variable)
	out, err := cmd.StdoutPipe()
	must(b.t, err)
	must(b.t, cmd.Start())
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "held" {
			return cmd.Process
		}
	}
	b.t.Fatal("the client did not get the image")
	return nil
}

func TestLabWaitsForTheDeadBeforeTheWindow(t *testing.T) {
	t.Parallel()
	b := newBench(t, 16*mebibyte)
	must(t, b.hold().Kill())
	ref, err := b.method.Plan(t.Context(), methods.PlanRequest{Disk: b.disk, ID: "aaaa"})
	must(t, err)
	start := time.Now()
	ready, err := b.method.Prepare(t.Context(), []methods.Ref{ref})
	must(t, err)
	prepared := time.Now()
	must(t, ready.Take(t.Context()))
	taken := time.Now()
	must(t, ready.Close(t.Context()))
	t.Logf("prepared in %v, took %v", prepared.Sub(start), taken.Sub(prepared))
	if taken.Sub(prepared) > 5*time.Second {
		t.Error("the wait was in the window")
	}
}

func TestLabRevertWaitsForTheDead(t *testing.T) {
	t.Parallel()
	b := newBench(t, 16*mebibyte)
	ref := b.take("aaaa")
	must(t, b.hold().Kill())
	b.revert(ref)
}

// TestLabRevertAgainWaitsForTheDead: who goes on with a revert that was killed does not look before.
func TestLabRevertAgainWaitsForTheDead(t *testing.T) {
	t.Parallel()
	b := newBench(t, 16*mebibyte)
	ref := b.take("aaaa")
	must(t, b.hold().Kill())
	_, err := b.method.Revert(t.Context(), methods.RevertRequest{To: ref, Disk: b.disk, Again: true})
	must(t, err)
}

func TestLabSilentClientBlocks(t *testing.T) {
	t.Parallel()
	b := newBench(t, 16*mebibyte)
	b.method.limits.dead = 5 * time.Second
	ref, err := b.method.Plan(t.Context(), methods.PlanRequest{Disk: b.disk, ID: "aaaa"})
	must(t, err)
	holder := b.hold()
	must(t, holder.Signal(syscall.SIGSTOP))
	_, err = b.method.Prepare(t.Context(), []methods.Ref{ref})
	if !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("prepare: %v", err)
	}
	t.Log(err)
	must(t, holder.Signal(syscall.SIGCONT))
	b.letGo(holder)
}

// askVariable makes the test binary a client that asks for a snapshot of the image, both named there.
const askVariable = "DOMSNAP_TEST_ASK"

// TestLabAsk is that client.
func TestLabAsk(t *testing.T) {
	name, snap, ok := strings.Cut(os.Getenv(askVariable), "@")
	if !ok {
		t.Skip("only of use to the test that starts it")
	}
	opened, err := connect(methods.RBDImage{Pool: "rbd", Image: name})
	must(t, err)
	image, err := opened.write(name)
	must(t, err)
	os.Stdout.WriteString("held\n")
	must(t, image.createSnap(snap))
}

// TestLabDropOfAnAbandonedSnapshotIsForGood: the client with the lock is told to make a snapshot, and gets to it when who
// told it is dead.
func TestLabDropOfAnAbandonedSnapshotIsForGood(t *testing.T) {
	t.Parallel()
	b := newBench(t, 16*mebibyte)
	ref, err := b.method.Plan(t.Context(), methods.PlanRequest{Disk: b.disk, ID: "aaaa"})
	must(t, err)
	holder := b.hold()
	must(t, holder.Signal(syscall.SIGSTOP))
	asker := b.client("TestLabAsk", askVariable+"="+b.disk.Source.RBD.Image+"@ds-aaaa-vda")
	time.Sleep(2 * time.Second)
	must(t, asker.Kill())
	time.AfterFunc(time.Second, func() { _ = holder.Signal(syscall.SIGCONT) })
	must(t, b.method.Drop(t.Context(), methods.DropRequest{Ref: ref, Stage: methods.Abandoned}))
	time.Sleep(3 * time.Second)
	if _, err := b.method.Stat(t.Context(), ref); !errors.Is(err, methods.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
	b.letGo(holder)
}

// letGo ends a client and waits until the cluster has forgotten it.
func (b *bench) letGo(holder *os.Process) {
	b.t.Helper()
	must(b.t, holder.Kill())
	image, err := b.conn.read(b.disk.Source.RBD.Image)
	must(b.t, err)
	defer image.close()
	s := &session{reader: image}
	must(b.t, New().awaitDead(b.t.Context(), s))
}

func TestLabTakeGivenUpLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, 16*mebibyte)
	ref, err := b.method.Plan(t.Context(), methods.PlanRequest{Disk: b.disk, ID: "aaaa"})
	must(t, err)
	holder := b.hold()
	ready, err := b.method.Prepare(t.Context(), []methods.Ref{ref})
	must(t, err)
	must(t, holder.Signal(syscall.SIGSTOP))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	start := time.Now()
	err = ready.Take(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 2*time.Second {
		t.Errorf("take: %v after %v", err, time.Since(start))
	}
	must(t, holder.Signal(syscall.SIGCONT))
	must(t, ready.Close(t.Context()))
	if _, err := b.method.Stat(t.Context(), ref); !errors.Is(err, methods.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
	b.letGo(holder)
}
