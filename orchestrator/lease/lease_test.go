package lease_test

import (
	"os"
	"os/exec"
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
	for holder, over := range map[string]bool{
		string(own):                                          false,
		parts[0] + "/" + parts[1] + "/1":                     true, // another with the same number
		"another-boot/" + parts[1] + "/" + parts[2]:          true,
		parts[0] + "/x/" + parts[2]:                          false, // nobody can tell
		"nonsense":                                           false,
		parts[0] + "/" + parts[1] + "/" + parts[2] + "/more": false,
	} {
		if got := (lease.Lease{Holder: lease.Holder(holder)}).Over(time.Now()); got != over {
			t.Errorf("%s: over is %t", holder, got)
		}
	}
}
