package lease_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/orchestrator/lease"
)

func TestLeaseOfATime(t *testing.T) {
	now := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		lease lease.Lease
		over  bool
	}{
		{lease.Lease{}, false},
		{lease.Lease{Until: now.Add(time.Second)}, false},
		{lease.Lease{Until: now}, true},
		{lease.Lease{Until: now.Add(-time.Hour)}, true},
	} {
		if got := c.lease.Over(now); got != c.over {
			t.Errorf("%+v: over is %t", c.lease, got)
		}
	}
}

func TestLeaseOfAProcess(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	holder, err := lease.HolderOf(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	l := lease.Lease{Holder: holder}
	if l.Over(time.Now()) {
		t.Error("it is over while the process lives")
	}
	_ = cmd.Process.Kill()
	for end := time.Now().Add(5 * time.Second); !l.Over(time.Now()) && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond) // until it is dead, and waited for by nobody
	}
	if !l.Over(time.Now()) {
		t.Error("the process is dead and the lease is not over")
	}
	_ = cmd.Wait()
	if !l.Over(time.Now()) {
		t.Error("the process is gone and the lease is not over")
	}
	if _, err := lease.HolderOf(cmd.Process.Pid); err == nil {
		t.Error("the process is gone and has a name")
	}
}

func TestHolderIsNoOtherProcess(t *testing.T) {
	own, err := lease.HolderOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(own), "/")
	but := func(n int, part string) string {
		other := slices.Clone(parts)
		other[n] = part
		return strings.Join(other, "/")
	}
	for holder, over := range map[string]bool{
		string(own):            false,
		but(4, "1"):            true, // another with the same number
		but(2, "another-boot"): true,
		but(1, "pid:[1]"):      false, // nobody can tell
		but(0, "another-host"): false,
		but(3, "x"):            false,
		"nonsense":             false,
		string(own) + "/more":  false,
	} {
		if got := (lease.Lease{Holder: lease.Holder(holder)}).Over(time.Now()); got != over {
			t.Errorf("%s: over is %t", holder, got)
		}
	}
}
