//go:build lab

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestTortureOutage ends libvirt's daemon, and the agent in the guest, under every verb at every point it has.
func TestTortureOutage(t *testing.T) {
	before := objects(t)
	x := newTorturer(t, small(lab.QcowFile, lab.ThinLV))
	x.boot()
	for _, v := range []victim{x.createsRunning(), x.deletesRunning()} {
		x.lose(v, outage{"libvirtd killed", x.killDaemon})
		x.lose(v, outage{"agent killed", x.killAgent})
	}
	x.lose(x.createsRunning(), outage{"agent hangs", x.hangAgent})
	x.end(before)
}

// TestTortureOutageOff ends libvirt's daemon under the verbs on a domain that is off.
func TestTortureOutageOff(t *testing.T) {
	before := objects(t)
	x := newTorturer(t, blank(lab.QcowFile, lab.ThinLV))
	x.begin()
	for _, v := range []victim{x.creates(), x.reverts(), x.deletes()} {
		x.lose(v, outage{"libvirtd killed", x.killDaemon})
	}
	x.end(before)
}

// outage is something that domsnap needs and that fails while it waits.
type outage struct {
	name string
	fail func()
}

// killAgent leaves a guest alone that stands still, whose agent cannot die.
func (x *torturer) killAgent() {
	x.t.Helper()
	if !x.paused() {
		check(x.t, x.RestartAgent(x.t.Context()))
	}
}

// killDaemon leaves the guests alone, as libvirt does.
func (x *torturer) killDaemon() {
	x.t.Helper()
	tool(x.t, "pkill", "-9", "-x", "libvirtd")
	time.Sleep(200 * time.Millisecond)
	tool(x.t, "libvirtd", "-d")
	check(x.t, x.Reconnect())
}

// hangAgent has the agent answer nothing for longer than it is waited for.
func (x *torturer) hangAgent() {
	x.t.Helper()
	check(x.t, x.StopAgent(x.t.Context()))
	go func() {
		time.Sleep(4 * time.Second)
		_ = x.StartAgent(x.t.Context())
	}()
}

// lose has the outage come at each point of the verb. Whatever comes of it domsnap says so, and the guest goes on.
func (x *torturer) lose(v victim, o outage) {
	x.t.Helper()
	all := x.points(v)
	x.each(way{v.name, o.name, len(all)}, choose(all, x.every), func(point string) {
		v.ready()
		code := x.outageAt(point, o, v.args)
		if done := v.done(); code == 0 && !done {
			x.t.Errorf("exit %d, done is %v", code, done)
		}
		x.recover(v)
	})
}

// outageAt runs the verb, has the outage when it has come to the point, and gives the exit code.
func (x *torturer) outageAt(point string, o outage, args []string) int {
	x.t.Helper()
	run, said := x.runAt(point, args, func(*os.Process) { o.fail() })
	x.letGo()
	code := run.ExitCode()
	if !slices.Contains([]int{0, 1, 5, 7, 8}, code) {
		x.t.Errorf("exit %d: %s", code, said)
	}
	return code
}

// runAt runs the verb to its end, and has something happen while it waits at the point.
func (x *torturer) runAt(point string, args []string, happen func(*os.Process)) (*os.ProcessState, string) {
	x.t.Helper()
	there, on := filepath.Join(x.t.TempDir(), "there"), filepath.Join(x.t.TempDir(), "on")
	p := x.failing
	p.Env = []string{"DOMSNAP_AT=" + point, fmt.Sprintf("DOMSNAP_THEN=touch %s; until [ -e %s ]; do sleep 0.02; done", there, on)}
	run := p.Command(x.t.Context(), args...)
	var said strings.Builder
	run.Stdout = &said
	defer func() {
		if x.t.Failed() {
			x.t.Logf("domsnap says: %s", said.String())
		}
	}()
	check(x.t, run.Start())
	x.awaitFile(there)
	happen(run.Process)
	check(x.t, os.WriteFile(on, nil, 0o600))
	_ = run.Wait()
	return run.ProcessState, said.String()
}

func (x *torturer) awaitFile(path string) {
	x.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return
		}
		if time.Now().After(end) {
			x.t.Fatal("the point was not reached")
		}
	}
}
