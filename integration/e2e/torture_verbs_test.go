//go:build lab

package e2e

import (
	"slices"
	"strings"

	"github.com/domsnap/domsnap/orchestrator"
)

// The bytes that the disks have in the snapshot base, and now.
const (
	basically byte = 1
	presently byte = 2
)

// begin gives the domain, which is off, the snapshot base and a present that differs from it.
func (x *torturer) begin() {
	x.t.Helper()
	x.scribble(basically)
	x.base = x.diskSums()
	x.create("base")
	x.scribble(presently)
	x.present = x.diskSums()
	x.checkSnapshot("base", x.base)
}

func (x *torturer) create(name string) {
	x.t.Helper()
	x.p.create(x.Name(), name, x.options...)
}

func (x *torturer) creates() victim {
	return victim{
		name: "create", args: append([]string{"snapshot-create-as", x.Name(), "new"}, x.options...), ready: func() {},
		done: func() bool { return x.named("new") != nil },
		check: func() {
			x.checkPresent(x.present)
			if x.named("new") != nil {
				x.checkSnapshot("new", x.present)
				x.p.delete(x.Name(), "new")
			}
		},
	}
}

func (x *torturer) reverts() victim {
	return victim{
		name: "revert", args: []string{"snapshot-revert", x.Name(), "base"}, ready: func() {},
		done:  func() bool { return x.safety() != nil },
		check: func() { x.checkReverted(x.present) },
	}
}

// checkReverted: either nothing has happened, or the disks are the snapshot's and the present of before is kept.
func (x *torturer) checkReverted(before map[string]string) {
	x.t.Helper()
	safety := x.safety()
	if safety == nil {
		x.checkPresent(before)
		return
	}
	x.checkPresent(x.base)
	x.checkSnapshot(safety.Name, before)
	x.p.delete(x.Name(), safety.Name)
	x.scribble(presently)
}

func (x *torturer) deletes() victim {
	return victim{
		name: "delete", args: []string{"snapshot-delete", x.Name(), "old"},
		ready: func() {
			if x.named("old") == nil {
				x.create("old")
			}
		},
		done: func() bool { return x.named("old") == nil },
		check: func() {
			x.checkPresent(x.present)
			if x.named("old") != nil {
				x.checkSnapshot("old", x.present)
			}
		},
	}
}

// deletesWritten deletes a snapshot behind which all was written again, so that it has to move.
func (x *torturer) deletesWritten() victim {
	v := x.deletes()
	ready := v.ready
	v.ready = func() {
		ready()
		x.scribble(presently)
	}
	return v
}

// revertsPaused powers the domain off and starts it again, paused before its first instruction. Whatever becomes of the
// revert, the domain is as it was then.
func (x *torturer) revertsPaused() victim {
	off := x.reverts()
	return victim{
		name: "revert --force", args: []string{"snapshot-revert", x.Name(), "base", "--force"},
		ready: func() { tool(x.t, "virsh", "start", "--paused", x.Name()) },
		done:  off.done,
		check: func() {
			if !x.paused() {
				x.t.Error("the domain was on, and is not any more")
			}
			check(x.t, x.Stop())
			x.checkReverted(x.present)
		},
	}
}

// revertsDue does what was asked for at a shutdown that no hook has noticed. It is done once, wherever it is interrupted.
func (x *torturer) revertsDue() victim {
	off := x.reverts()
	return victim{
		name: "revert --at-shutdown", args: []string{"recover", x.Name()}, like: &off,
		ready: func() {
			x.startPaused()
			x.askRevert("base")
			check(x.t, x.Stop())
		},
		check: func() {
			if x.safety() == nil || x.asked() != "" {
				x.t.Errorf("it was not done: there are %+v", x.p.list(x.Name()))
			}
			x.checkReverted(x.present)
		},
	}
}

// createsRunning and deletesRunning are verbs on a guest that writes all the time.
func (x *torturer) createsRunning(options ...string) victim {
	args := slices.Concat([]string{"snapshot-create-as", x.Name(), "new"}, x.options, options)
	name := strings.Join(append([]string{"create"}, options...), " ") + ", on"
	return victim{name: name, args: args, ready: func() {}, done: func() bool { return x.named("new") != nil }, check: func() {
		if s := x.named("new"); s != nil {
			x.checkInstantOf(s)
			x.p.delete(x.Name(), "new")
		}
	}}
}

// createsHeld is the classic way: the guest is held while all storages take.
func (x *torturer) createsHeld(options ...string) victim {
	shielded, held := x.createsRunning(), x.createsRunning(append([]string{"--hold"}, options...)...)
	held.like, held.unlike = &shielded, whileHeld
	return held
}

func (x *torturer) deletesRunning() victim {
	return victim{
		name: "delete, on", args: []string{"snapshot-delete", x.Name(), "old"},
		ready: func() {
			if x.named("old") == nil {
				x.create("old")
			}
		},
		done:  func() bool { return x.named("old") == nil },
		check: func() {},
	}
}

// checkInstantOf: a disk that is written after another never has more records, and the last has one less at most.
func (x *torturer) checkInstantOf(s *orchestrator.Snapshot) {
	x.t.Helper()
	var counts []int
	for _, d := range s.Disks {
		counts = append(counts, x.countIn(d))
	}
	if first, last := counts[0], counts[len(counts)-1]; first < last || first > last+1 {
		x.t.Errorf("snapshot %s has %v records", s.Name, counts)
	}
}

// boot starts the guest, which then writes.
func (x *torturer) boot() {
	x.t.Helper()
	x.on()
	x.startChain()
}

// end deletes what is left.
func (x *torturer) end(before string) {
	x.t.Helper()
	x.deleteEverything()
	if now := objects(x.t); now != before {
		x.t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
	if left := x.p.list(x.Name()); len(left) > 0 {
		x.t.Errorf("snapshots are left: %+v", left)
	}
}
