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
	daemon := x.daemonDies()
	for _, v := range []victim{x.createsRunning(), x.deletesRunning()} {
		x.lose(v, daemon, x.chosen)
		x.lose(v, outage{"agent killed", x.killAgent, true}, x.chosen)
	}
	x.lose(x.createsRunning(), outage{"agent hangs", x.hangAgent, true}, x.chosen)
	x.lose(x.createsHeld(), daemon, func(all []string) []string { return firstHalfWayAndLast(whileHeld(all)) })
	x.lose(x.recoverOf(x.createsRunning("--shield")), daemon, fewChanges)
	x.end(before)
}

// TestTortureOutageOff ends libvirt's daemon under the verbs on a domain that is off, or that is powered off for it.
func TestTortureOutageOff(t *testing.T) {
	before := objects(t)
	x := newTorturer(t, blank(lab.QcowFile, lab.ThinLV))
	x.begin()
	daemon := x.daemonDies()
	for _, v := range []victim{x.creates(), x.reverts(), x.deletes()} {
		x.lose(v, daemon, x.chosen)
	}
	x.lose(x.revertsPaused(), daemon, x.whereItIsPowered)
	x.lose(x.recoverOf(x.reverts()), daemon, fewChanges)
	x.end(before)
}

func (x *torturer) chosen(all []string) []string { return choose(all, x.every) }

func fewChanges(all []string) []string { return firstHalfWayAndLast(beforeChanges(all)) }

// whereItIsPowered are the points right before a domain is powered off, right behind that, and before it is started again.
func (x *torturer) whereItIsPowered(all []string) []string {
	x.t.Helper()
	points := x.at(all, "libvirt: power off", "libvirt: start")
	return slices.Insert(points, 1, whileOff(all)[0])
}

// outage is something that domsnap needs and that fails while it waits.
type outage struct {
	name string
	fail func()
	// inside: it cannot happen to a guest that stands still.
	inside bool
}

func (x *torturer) daemonDies() outage { return outage{name: "libvirtd killed", fail: x.killDaemon} }

// killAgent ends the agent of a guest that is frozen or runs.
func (x *torturer) killAgent() {
	x.t.Helper()
	if x.paused() {
		x.t.Fatal("in a guest that stands still no agent dies")
	}
	check(x.t, x.RestartAgent(x.t.Context()))
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

// lose has the outage come at points of the verb. Whatever comes of it domsnap says so, and the guest goes on.
func (x *torturer) lose(v victim, o outage, pick func(all []string) []string) {
	x.t.Helper()
	all := x.points(v)
	points := pick(all)
	if o.inside {
		points = without(points, between(all, pauses, resumes))
	}
	x.each(way{v.name, o.name, len(all)}, points, func(point string) {
		v.ready()
		ended, said := x.runAt(point, v.args, func(*os.Process) { o.fail() })
		x.letGo()
		if code := ended.ExitCode(); code == 6 {
			x.t.Errorf("what does not answer for a while is no reason to say that it cannot be done here: %s", said)
		} else {
			x.checkSaid(v, code, said)
		}
		x.recover(v)
	})
}

// checkSaid: the exit code says whether the verb has done what it is for, or that this is to be found out.
func (x *torturer) checkSaid(v victim, code int, said string) {
	x.t.Helper()
	done := v.done()
	right := code == 7
	switch code {
	case 0:
		right = done
	case 1, 5, 6, 8:
		right = !done
	}
	if !right {
		x.t.Errorf("exit %d, done is %v: %s", code, done, said)
	}
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
