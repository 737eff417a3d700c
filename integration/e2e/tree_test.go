//go:build lab

package e2e

import (
	"maps"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/orchestrator"
)

// TestTree walks over eight snapshots of five disks in a tree of two branches: a, b, then c, d, e and f, g, h. After each
// step the disks, and after each revert and some deletes every snapshot, have the content that they should have.
func TestTree(t *testing.T) {
	before := objects(t)
	w := &walker{machine: newMachine(t, blank(fiveKinds()...)), sums: map[string]map[string]string{}}
	w.grow("", "a", "b", "c", "d", "e")
	w.jump("b")
	w.grow("b", "f", "g", "h")
	w.jump("d")
	w.undone("g")
	w.checkParents(map[string]string{"a": "", "b": "a", "c": "b", "d": "c", "e": "d", "f": "b", "g": "f", "h": "g"})
	for _, name := range []string{"c", "g", "b"} {
		w.cut(name)
	}
	w.checkSources()
	w.checkParents(map[string]string{"a": "", "d": "a", "e": "d", "f": "a", "h": "f"})
	w.jump("h")
	w.jump("e")
	for _, name := range []string{"a", "h", "d"} {
		w.cut(name)
	}
	w.checkSources()
	for _, name := range []string{"f", "e"} {
		w.cut(name)
	}
	if now := objects(t); now != before {
		t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
}

// grow takes snapshots one after the other, each of other content.
func (w *walker) grow(parent string, names ...string) {
	w.t.Helper()
	for _, name := range names {
		w.scribble(name[0])
		w.takeOff(name)
		if s := w.named(name); s.Parent == nil && parent != "" || s.Parent != nil && *s.Parent != parent {
			w.t.Errorf("the parent of %s is %v, want %q", name, s.Parent, parent)
		}
		parent = name
	}
}

// jump reverts to a snapshot of whatever branch, and does not want the present any more.
func (w *walker) jump(name string) {
	w.t.Helper()
	w.scribble('.')
	w.revertTo(name)
	w.p.delete(w.Name(), w.safety().Name)
	w.checkPresent(w.sums[name])
}

// undone reverts to a snapshot, and then to what was there before.
func (w *walker) undone(name string) {
	w.t.Helper()
	w.scribble('!')
	before := w.diskSums()
	w.revertTo(name)
	safety := w.safety().Name
	w.p.revert(w.Name(), safety, "--no-safety")
	w.checkPresent(before)
	w.p.delete(w.Name(), safety)
	w.checkPresent(before)
}

// cut deletes a snapshot, which changes nothing else. What others still need of it goes with them.
func (w *walker) cut(name string) {
	w.t.Helper()
	present := w.diskSums()
	r := w.p.delete(w.Name(), name)
	delete(w.sums, name)
	if !slices.Contains(r.Deleted, name) && len(r.PendingDelete) != 1 {
		w.t.Errorf("the delete of %s: %+v", name, r)
	}
	w.checkPresent(present)
}

// checkParents: the snapshots that are available, and the next of those that each derives from.
func (w *walker) checkParents(want map[string]string) {
	w.t.Helper()
	parents, pending := map[string]string{}, map[string]bool{}
	for _, s := range w.p.list(w.Name()) {
		parents[s.Name] = ""
		if s.Parent != nil {
			parents[s.Name] = *s.Parent
		}
		pending[s.Name] = s.State == orchestrator.StatePendingDelete
	}
	for name, parent := range parents {
		for pending[parent] {
			parent = parents[parent]
		}
		parents[name] = parent
	}
	maps.DeleteFunc(parents, func(name, _ string) bool { return pending[name] })
	if !maps.Equal(parents, want) {
		w.t.Errorf("the tree is %v, want %v", parents, want)
	}
}
