//go:build lab

package e2e

import (
	"sync"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
)

// calls is how many run at once.
const calls = 100

// TestHundredCalls: of many calls on one domain one runs, and each of the others says that it is busy. How long that
// took is for people to read: the lab has one CPU for all of them.
func TestHundredCalls(t *testing.T) {
	before := objects(t)
	m := &machine{Domain: lab.NewTestDomain(t, lab.Options{Disks: small(lab.QcowFile)}), t: t, p: newProgram(t)}
	start := make(chan struct{})
	// The one that runs waits for all others.
	m.p.shim("qemu-img", `[ "$1" != create ] || sleep 60
exec "$REAL" "$@"`)
	results := make([]cli.Result, calls)
	var wait sync.WaitGroup
	for i := range results {
		wait.Go(func() {
			<-start
			r, err := m.p.Run(t.Context(), "snapshot-create-as", m.Name(), "s1")
			if err != nil {
				t.Error(err)
			}
			results[i] = r
		})
	}
	close(start)
	wait.Wait()
	codes, longest := map[int]int{}, time.Duration(0)
	for _, r := range results {
		codes[r.Code]++
		if r.Code == 4 {
			longest = max(longest, r.Took)
		}
	}
	t.Logf("exit codes %v; busy after %s at most", codes, longest)
	if codes[0] != 1 || codes[4] != calls-1 {
		t.Errorf("exit codes %v", codes)
	}
	m.p.ToolDir = ""
	m.p.delete(m.Name(), "s1")
	if now := objects(t); now != before {
		t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
}
