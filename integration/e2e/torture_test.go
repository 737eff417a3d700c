//go:build lab

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// longestHeld is how long a guest may be held after the program that held it was killed.
const longestHeld = 5 * time.Second

// leftAtWork is more than a tool takes that was started by who was killed.
const leftAtWork = 30 * time.Second

// kill ends the program at the point, as a power button would.
const kill = "kill -9 $PPID"

// killSettled does so when what was under way beside the point has come to its end: it leaves the same each time.
const killSettled = "sleep 4; " + kill

// torturer interrupts verbs on one domain at every point they have, and looks at what recover makes of it.
type torturer struct {
	*machine
	// failing is the program that can be interrupted.
	failing cli.Program
	// options of snapshot-create-as choose the methods.
	options []string
	// every point is tried, not just a few.
	every bool
	// base and present are the content of the disks in the snapshot base and now, while the domain is off.
	base, present map[string]string
	// shown are acts that need not be interrupted any more, since another domain has shown them; nil for none. That has also
	// shown where a victim is unlike another.
	shown *regexp.Regexp
	chain *chain
	worst time.Duration
}

// victim is a verb to be interrupted.
type victim struct {
	name string
	args []string
	// like is a victim that does nearly the same: what it has come to need not be shown again, but at the points where unlike
	// says that this one is in another state, though they have the same names.
	like   *victim
	unlike func(all []string) []string
	// ready makes what the verb works on; it is called before each run.
	ready func()
	// done says that the verb has done what it is for.
	done func() bool
	// check looks at the domain after recover, and makes it what it was before ready.
	check func()
}

func newTorturer(t *testing.T, disks []lab.Disk, options ...string) *torturer {
	t.Helper()
	return newTorturerOf(t, lab.Options{Disks: disks}, options...)
}

func newTorturerOf(t *testing.T, opts lab.Options, options ...string) *torturer {
	t.Helper()
	m := newMachineOf(t, opts)
	return &torturer{machine: m, options: options, every: everyPoint, failing: failing(t, m.p.StateDir)}
}

// failing is the program with failpoints.
func failing(t *testing.T, stateDir string) cli.Program {
	t.Helper()
	path := os.Getenv("DOMSNAP_FAILPOINTS")
	if path == "" {
		t.Fatal("the variable DOMSNAP_FAILPOINTS does not name a program with failpoints")
	}
	return cli.Program{Path: path, StateDir: stateDir}
}

// run interrupts the verb at each of its points.
func (x *torturer) run(v victim) {
	x.t.Helper()
	all := x.points(v)
	x.each(way{v.name, "domsnap killed", len(all)}, x.choose(v, all), func(point string) {
		v.ready()
		x.interrupt(point, kill, v.args)
		x.recover(v)
	})
	if x.base != nil {
		x.checkSnapshot("base", x.base)
	}
}

// way is a way of interrupting a verb, which has so many points.
type way struct {
	name, how string
	points    int
}

// each tries points, and tells of what has gone well, for the report.
func (x *torturer) each(w way, points []string, try func(point string)) {
	x.t.Helper()
	start := time.Now()
	for _, point := range points {
		x.t.Logf("%s: %s %s", w.name, w.how, point)
		try(point)
		if x.t.Failed() {
			x.t.Fatalf("%s: %s %s", w.name, w.how, point)
		}
	}
	x.passed(w, len(points), start)
}

func (x *torturer) passed(w way, tried int, start time.Time) {
	x.t.Helper()
	x.t.Logf("torture: %s; %s; %d points; %d tried; held at most %d ms after; %.0f s",
		w.name, w.how, w.points, tried, x.worst.Milliseconds(), time.Since(start).Seconds())
}

// points runs the verb to its end and lists what it reached.
func (x *torturer) points(v victim) []string {
	x.t.Helper()
	v.ready()
	file := filepath.Join(x.t.TempDir(), "points")
	p := x.failing
	p.Env = []string{"DOMSNAP_POINTS=" + file}
	r, err := p.Run(x.t.Context(), v.args...)
	check(x.t, err)
	if r.Code != 0 {
		x.t.Fatalf("%s: exit %d: %s%s", v.name, r.Code, r.Stdout, r.Stderr)
	}
	text, err := os.ReadFile(file)
	check(x.t, err)
	v.check()
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// choose leaves out what others have shown. Where not every point is wanted it is two of those that nobody else shows.
func (x *torturer) choose(v victim, all []string) []string {
	x.t.Helper()
	unlike, chosen := x.unlike(v, all), choose(all, x.every)
	switch {
	case !x.every && len(unlike) > 0:
		return halfWayAndLast(unlike)
	case !x.every:
		return chosen
	}
	var like []string
	if v.like != nil {
		like = without(x.points(*v.like), unlike)
	}
	last := chosen[len(chosen)-1]
	return slices.DeleteFunc(chosen, func(point string) bool {
		known := slices.Contains(like, point) || x.shown != nil && x.shown.MatchString(point)
		return known && point != last
	})
}

// unlike are the points at which no other victim is in the same state.
func (x *torturer) unlike(v victim, all []string) []string {
	x.t.Helper()
	if v.unlike == nil || x.shown != nil {
		return nil
	}
	points := v.unlike(all)
	if len(points) < 2 {
		x.t.Fatalf("%s: of its points only %q are another state than others have: %q", v.name, points, all)
	}
	return points
}

// at is the first point of each act, which has to be there.
func (x *torturer) at(all []string, acts ...string) []string {
	x.t.Helper()
	points := make([]string, len(acts))
	for n, act := range acts {
		i := slices.IndexFunc(all, func(p string) bool { return strings.HasPrefix(p, "before "+act) })
		if i < 0 {
			x.t.Fatalf("there is no %q in %q", act, all)
		}
		points[n] = all[i]
	}
	return points
}

// interrupt runs the verb with a script at a point. A run that did not come to the point proves nothing, and fails the test.
func (x *torturer) interrupt(point, then string, args []string) cli.Result {
	x.t.Helper()
	p := x.failing
	p.Env = []string{"DOMSNAP_AT=" + point, "DOMSNAP_THEN=" + then}
	r, err := p.Run(x.t.Context(), args...)
	check(x.t, err)
	if strings.HasSuffix(then, kill) && r.Code != -1 {
		x.t.Fatalf("domsnap %v was not killed %s: exit %d: %s", args, point, r.Code, r.Stdout)
	}
	x.letGo()
	return r
}

// letGo waits until the guest goes on, if it runs, the guardian has nothing more to do, and what was left at work is done.
func (x *torturer) letGo() {
	x.t.Helper()
	if x.chain != nil {
		start := time.Now()
		x.await(x.frozen, false, longestHeld)
		x.worst = max(x.worst, time.Since(start))
	}
	x.await(guarded, false, longestHeld)
	x.await(x.p.atWork, false, leftAtWork)
}

// recover brings everything in order, and then there is nothing to do any more.
func (x *torturer) recover(v victim) {
	x.t.Helper()
	x.recoverAll()
	x.checkObjects()
	if x.chain != nil {
		x.checkChain()
	}
	v.check()
}

func (x *torturer) recoverAll() {
	x.t.Helper()
	var recovered struct{ Domains []orchestrator.Recovered }
	x.p.must(&recovered, "recover", x.Name())
	x.p.must(&recovered, "recover", x.Name())
	if len(recovered.Domains) > 0 {
		x.t.Errorf("the second recover did %+v", recovered.Domains)
	}
}

// recoverOf is the recover that follows when the verb was killed half-way.
func (x *torturer) recoverOf(v victim) victim {
	x.t.Helper()
	points := choose(x.points(v), true)
	return victim{
		name: "recover of " + v.name, args: []string{"recover", x.Name()}, check: v.check,
		ready: func() { v.ready(); x.interrupt(points[len(points)/2], killSettled, v.args) },
		done:  func() bool { return len(x.p.unfinished()) == 0 },
	}
}
