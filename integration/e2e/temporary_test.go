//go:build lab

package e2e

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// TestTemporary: what is lent goes when its time is over, when its holder ends, and when whoever was to see to it was killed.
func TestTemporary(t *testing.T) {
	x := newTorturer(t, blank(lab.QcowFile, lab.ThinLV))
	x.scribble(presently)
	x.present = x.diskSums()
	if s := x.p.create(x.Name(), "timed", "--temporary", "--lease", "4s"); !s.Temporary || s.Until == nil {
		t.Errorf("it is %+v", s)
	}
	x.awaitNames(20 * time.Second)

	script := fmt.Sprintf("%q --state-dir %q snapshot-create-as %s held --temporary >/dev/null && sleep 4; exit", x.p.Path, x.p.StateDir, x.Name())
	holder := exec.Command("sh", "-c", script)
	holder.Stderr = t.Output()
	check(t, holder.Start())
	x.awaitNames(30*time.Second, "held")
	check(t, holder.Wait())
	x.awaitNames(20 * time.Second)

	x.p.create(x.Name(), "alone", "--temporary", "--lease", "3s")
	tool(t, "pkill", "-KILL", "-f", "^domsnap-lease")
	time.Sleep(5 * time.Second)
	x.wantFindings("expired ")
	x.recoverAll()
	x.awaitNames(time.Second)
	x.checkPresent(x.present)
}

// awaitNames waits until just these snapshots are there.
func (x *torturer) awaitNames(most time.Duration, want ...string) {
	x.t.Helper()
	var names []string
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		names = nil
		for _, s := range x.p.list(x.Name()) {
			if s.State != orchestrator.StateAvailable {
				s.Name += ", " + s.State
			}
			names = append(names, s.Name)
		}
		if fmt.Sprint(names) == fmt.Sprint(want) {
			return
		}
	}
	x.t.Fatalf("after %s there are %q, want %q", most, names, want)
}
