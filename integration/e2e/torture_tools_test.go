//go:build lab && torture

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
)

// lie is what a tool may do instead of its work. In its script $REAL is the tool.
type lie struct {
	name, script string
	// changes: it is another lie only where the tool changes something.
	changes, hangs bool
}

var lies = []lie{
	{name: "fails", script: "exit 5"},
	{name: "does nothing and is content", script: "exit 0"},
	{name: "does it and fails", script: `"$REAL" "$@" >/dev/null 2>&1; exit 5`, changes: true},
	{name: "does it and says half", script: `"$REAL" "$@" | head -c 25; exit 0`},
	{name: "is killed before it works", script: "kill -9 $$", changes: true},
	{name: "hangs", script: "sleep 40; exit 5", hangs: true},
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
	for _, v := range []victim{x.creates(), x.reverts(), x.deletesWritten()} {
		x.killAtWork(v)
	}
	x.end(before)
}

// lieTo has calls of tools end in each of the bad ways, or where not all are wanted, in one after the other of them.
func (x *torturer) lieTo(v victim) {
	x.t.Helper()
	start, all := time.Now(), x.calls(v)
	chosen := x.chooseLies(all)
	for _, c := range chosen {
		x.t.Logf("%s: %s %s", v.name, c.call, c.lie.name)
		x.lie(v, c.call, c.lie.script)
	}
	x.passed(way{v.name, "tools lie", len(all)}, len(chosen), start)
}

// badCall is a call of a tool that ends in a bad way.
type badCall struct {
	call string
	lie  lie
}

// chooseLies wants each lie of the first and of the last call of a command, or of the first alone where it only reads: that
// it was killed is then the same as that it fails. A command hangs once. Where not all are wanted it is each fourth call.
func (x *torturer) chooseLies(calls []string) []badCall {
	counts := map[string]int{}
	for _, call := range calls {
		counts[actOf(call)]++
	}
	var chosen []badCall
	seen := map[string]int{}
	for i, call := range calls {
		command := actOf(call)
		seen[command]++
		first, last := seen[command] == 1, seen[command] == counts[command]
		reads := readers.MatchString("before run " + call)
		for n, l := range lies {
			wanted := first && !(reads && l.changes) || last && !reads && !l.hangs
			if !x.every {
				wanted = i%4 == 2 && n == i/4%len(lies)
			}
			if wanted {
				chosen = append(chosen, badCall{call, l})
			}
		}
	}
	return chosen
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
	x.checkSaid(v, r.Code, string(r.Stdout)+r.Stderr)
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

// atWork ends a tool right before one of its threads writes for the Nth time, and tells that it did.
const atWork = `strace -f -qq -o /dev/null -e inject=pwrite64,pwritev:signal=KILL:when=%d "$REAL" "$@"
code=$?
[ $code -lt 128 ] || { touch %s; kill -9 $$; }
exit $code`

// killAtWork ends the first run of each command of qemu-img's in the middle of what it writes. LVM's tools are not ended so:
// one that is between the suspend and the resume of a volume leaves it suspended, so that whoever writes to the disk waits
// until a person resumes it, which is why domsnap never kills one.
func (x *torturer) killAtWork(v victim) {
	x.t.Helper()
	start, calls, tried := time.Now(), x.writers(v), 0
	if len(calls) == 0 {
		x.t.Fatalf("%s has qemu-img change nothing", v.name)
	}
	for _, call := range calls {
		killed := x.killCall(v, call)
		if killed == 0 {
			x.t.Fatalf("%s: %s always came to its end", v.name, call)
		}
		tried += killed
	}
	x.passed(way{v.name, "qemu-img killed at work", len(calls)}, tried, start)
}

// killCall gives how often the call was killed.
func (x *torturer) killCall(v victim, call string) int {
	x.t.Helper()
	mark, killed, times := filepath.Join(x.t.TempDir(), "killed"), 0, []int{2}
	if x.every {
		times = []int{1, 2, 5}
	}
	for _, nth := range times {
		x.t.Logf("%s: %s is killed before it writes for time %d", v.name, call, nth)
		x.lie(v, call, fmt.Sprintf(atWork, nth, mark))
		if os.Remove(mark) == nil {
			killed++
		}
	}
	return killed
}

// writers are the first calls of those commands of qemu-img that change an image.
func (x *torturer) writers(v victim) []string {
	x.t.Helper()
	return slices.DeleteFunc(x.calls(v), func(call string) bool {
		return !strings.HasPrefix(call, "qemu-img ") || !strings.HasSuffix(call, "#1") || readers.MatchString("before run "+call)
	})
}
