//go:build lab

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
)

// lies are what a tool may do instead of its work. In them $REAL is the tool.
var lies = []struct{ name, script string }{
	{"fails", "exit 5"},
	{"does nothing and is content", "exit 0"},
	{"does it and fails", `"$REAL" "$@" >/dev/null 2>&1; exit 5`},
	{"does it and says half", `"$REAL" "$@" | head -c 25; exit 0`},
	{"is killed", "kill -9 $$"},
	{"hangs", "sleep 40; exit 5"},
}

// patience is how long domsnap is waited for until it is asked to stop: less than a tool hangs. A tool of LVM's that
// changes something is never killed, since that can leave a volume suspended, and so domsnap waits for it all the same.
const patience = 15 * time.Second

// TestTortureTools has every tool lie at each time it is called.
func TestTortureTools(t *testing.T) {
	before := objects(t)
	x := newTorturer(t, blank(lab.QcowFile, lab.ThickLV, lab.ThinLV))
	x.begin()
	for _, v := range []victim{x.creates(), x.reverts(), x.deletes()} {
		x.lieTo(v)
	}
	x.end(before)
}

// lieTo has each call of a tool end in each of the bad ways, or where not all are wanted, in one after the other of them.
func (x *torturer) lieTo(v victim) {
	x.t.Helper()
	start, calls, tried := time.Now(), x.calls(v), 0
	for i, call := range calls {
		for n, lie := range lies {
			if !x.every && (i%4 != 2 || n != i/4%len(lies)) {
				continue
			}
			x.t.Logf("%s: %s %s", v.name, call, lie.name)
			x.lie(v, call, lie.script)
			tried++
		}
	}
	x.t.Logf("torture: %-14s %3d calls of tools, %3d lies, all passed, in %3.0f s", v.name, len(calls), tried, time.Since(start).Seconds())
}

// calls are the calls of tools in the order they happen, as NAME#N.
func (x *torturer) calls(v victim) []string {
	x.t.Helper()
	var calls []string
	for _, p := range x.points(v) {
		if call, ok := strings.CutPrefix(p, "before run "); ok {
			calls = append(calls, call)
		}
	}
	return calls
}

// lie runs the verb with one call that goes wrong. Whatever comes of it, domsnap says so.
func (x *torturer) lie(v victim, call, script string) {
	x.t.Helper()
	v.ready()
	x.replaceCall(call, script)
	r := x.impatient(v.args)
	x.p.ToolDir = ""
	x.letGo()
	if !slices.Contains([]int{0, 1, 5, 6, 7}, r.Code) {
		x.t.Errorf("exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if done := v.done(); r.Code == 0 && !done || r.Code != 0 && r.Code != 7 && done {
		x.t.Errorf("exit %d, done is %v: %s", r.Code, done, r.Stdout)
	}
	x.recover(v)
	if x.t.Failed() {
		x.t.Fatalf("%s: %s: %s", v.name, call, r.Stdout)
	}
}

// replaceCall puts a script in the place of the Nth call of a tool.
func (x *torturer) replaceCall(call, script string) {
	x.t.Helper()
	command, nth, _ := strings.Cut(call, "#")
	name, verb, _ := strings.Cut(command, " ")
	count := filepath.Join(x.t.TempDir(), "count")
	x.p.shim(name, fmt.Sprintf(`case "$1" in %[4]s*) echo >>%[1]s;; *) exec "$REAL" "$@";; esac
[ $(wc -l <%[1]s) = %[2]s ] || exec "$REAL" "$@"
%[3]s`, count, nth, script, verb))
}

// impatient runs the program, and asks it to stop when it takes long.
func (x *torturer) impatient(args []string) cli.Result {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), patience)
	defer cancel()
	r, err := x.p.Run(ctx, args...)
	check(x.t, err)
	return r
}
