//go:build lab

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
)

// reverting is how many rounds of TestHookBesideOthers are between those that revert.
const reverting = hookRounds / 4

// TestHookBesideOthers: with two hooks of others in place, domains start and stop and one is vetoed, again and again, and
// now and then the end of one is what a revert waits for: each hook is called for each event, and libvirt goes on to answer.
func TestHookBesideOthers(t *testing.T) {
	half := newMachine(t, small(lab.QcowFile, lab.ThinLV))
	m := half.p.machine(lab.NewTestDomain(t, lab.Options{Disks: blank(lab.ThinLV)}), 1)
	calls := half.p.installHook()
	half.p.create(half.Name(), "s1")
	half.p.create(m.Name(), "s1")
	half.killRevert("s1")
	start := time.Now()
	check(t, os.Truncate(calls, 0))
	for round := range hookRounds {
		m.startPaused()
		revert := round%reverting == 0
		if revert {
			m.askRevert("s1", "--no-safety")
		}
		check(t, m.Stop())
		half.vetoed()
		if revert {
			m.awaitReverted()
		}
	}
	t.Logf("torture: %d rounds of start, stop and a vetoed start in %.0f s", hookRounds, time.Since(start).Seconds())
	text, err := os.ReadFile(calls)
	check(t, err)
	for _, hook := range []string{"qemu ", "qemu.d/another "} {
		for _, event := range []string{"prepare begin", "start begin", "started begin", "stopped end", "release end"} {
			wantCalls(t, string(text), hook+m.Name()+" "+event, hookRounds)
		}
		for event, times := range map[string]int{"prepare begin": hookRounds, "start begin": 0, "release end": hookRounds} {
			wantCalls(t, string(text), hook+half.Name()+" "+event, times)
		}
	}
	half.p.must(new(any), "recover", half.Name())
	half.startStop()
	half.deleteEverything()
	m.deleteEverything()
}

// vetoed is refused without the tool that takes longer than the start.
func (m *machine) vetoed() {
	m.t.Helper()
	if err := m.Start(); err == nil || !strings.Contains(err.Error(), "domain "+m.Name()+" is half-reverted") {
		m.t.Fatalf("the start ended with %v", err)
	}
}

func wantCalls(t *testing.T, calls, call string, times int) {
	t.Helper()
	if got := strings.Count("\n"+calls, "\n"+call+" "); got != times {
		t.Errorf("%q was called %d times, want %d", call, got, times)
	}
}
