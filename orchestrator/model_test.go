package orchestrator_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/keep"
)

// model is what a person believes that the verbs do: the disks have a content, a snapshot is a copy of it, to revert is to
// copy back, and to delete is to take out of a tree.
type model struct {
	present, current string
	// order are the names, oldest first.
	order   []string
	parent  map[string]string
	content map[string]string
	safety  map[string]bool
}

func newModel() *model {
	return &model{present: "zero", parent: map[string]string{}, content: map[string]string{}, safety: map[string]bool{}}
}

func (m *model) add(name string) {
	m.order = append(m.order, name)
	m.parent[name], m.content[name] = m.current, m.present
}

func (m *model) create(name string) {
	m.add(name)
	m.current = name
}

func (m *model) revert(name, safety string) {
	if safety != "" {
		m.add(safety)
		m.safety[safety] = true
	}
	m.present, m.current = m.content[name], name
}

func (m *model) delete(name string) {
	m.order = slices.DeleteFunc(m.order, func(n string) bool { return n == name })
	for child, parent := range m.parent {
		if parent == name {
			m.parent[child] = m.parent[name]
		}
	}
	if m.current == name {
		m.current = m.parent[name]
	}
	for _, of := range []map[string]string{m.parent, m.content} {
		delete(of, name)
	}
}

func (m *model) children(name string) []string {
	var all []string
	for _, child := range m.order {
		if m.parent[child] == name {
			all = append(append(all, m.children(child)...), child)
		}
	}
	return all
}

// modelled is a domain that is off, beside what it should be.
type modelled struct {
	*rig
	*model
	made int
	did  []string
}

func newModelled(t *testing.T) *modelled {
	t.Helper()
	m := &modelled{rig: newRig(t).off(), model: newModel()}
	m.rig.write("zero", "zero")
	return m
}

// act does something on both sides.
func (m *modelled) act(name string, err error) {
	m.t.Helper()
	m.did = append(m.did, name)
	if err != nil {
		m.t.Fatalf("%v: %v", m.did, err)
	}
}

func (m *modelled) doWrite() {
	m.made++
	m.present = fmt.Sprintf("%4d", m.made)
	m.rig.write(m.present, m.present)
	m.act("write "+m.present, nil)
}

func (m *modelled) doCreate() {
	m.made++
	name := fmt.Sprintf("s%d", m.made)
	_, err := m.Create(m.t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: name})
	m.act("create "+name, err)
	m.model.create(name)
}

func (m *modelled) doRevert(name string, noSafety bool) {
	opts := revertTo(name)
	opts.NoSafety = noSafety
	result, err := m.Revert(m.t.Context(), opts)
	m.act("revert "+name, err)
	safety := ""
	if result.Safety != nil {
		safety = *result.Safety
	}
	m.model.revert(name, safety)
}

func (m *modelled) doDelete(name string, children, only bool) {
	opts := orchestrator.DeleteOptions{Domain: "web1", Snapshot: name, Children: children, ChildrenOnly: only}
	_, err := m.Delete(m.t.Context(), opts)
	m.act(fmt.Sprintf("delete %s %t %t", name, children, only), err)
	var doomed []string
	if children || only {
		doomed = m.children(name)
	}
	if !only {
		doomed = append(doomed, name)
	}
	for _, d := range doomed {
		m.model.delete(d)
	}
}

func (m *modelled) doPrune(last int) {
	opts := orchestrator.PruneOptions{Domain: "web1", Keep: keep.Rules{Last: last}, SafetyFor: orchestrator.SafetyFor}
	_, err := m.Prune(m.t.Context(), opts)
	m.act(fmt.Sprintf("prune to %d", last), err)
	asked := slices.DeleteFunc(slices.Clone(m.order), func(n string) bool { return m.safety[n] })
	for _, name := range asked[:max(0, len(asked)-last)] {
		if name != m.current {
			m.model.delete(name)
		}
	}
}

func (m *modelled) compare() {
	m.t.Helper()
	list, err := m.List(m.t.Context(), "web1")
	if err != nil {
		m.t.Fatal(err)
	}
	order, parent, content, current := []string(nil), map[string]string{}, map[string]string{}, ""
	for _, s := range list {
		order, parent[s.Name] = append(order, s.Name), ""
		if s.Parent != nil {
			parent[s.Name] = *s.Parent
		}
		content[s.Name] = string(m.store.Snapshot(s.Disks[0].Ref))
		if s.Current {
			current = s.Name
		}
	}
	want := []any{m.order, m.parent, m.content, m.current, m.present}
	got := []any{order, parent, content, current, string(m.store.Disk(m.domain.disks[1].file))}
	if len(m.order) == 0 {
		want[0] = []string(nil)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.t.Fatalf("%v: want (-), got (+): %s", m.did, diff)
	}
}

// TestVerbsDoWhatOneBelieves goes through random sequences of verbs.
func TestVerbsDoWhatOneBelieves(t *testing.T) {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 1))
		m := newModelled(t)
		for range 40 {
			m.random(random)
			m.compare()
		}
	}
}

func (m *modelled) random(r *rand.Rand) {
	what := r.IntN(12)
	switch {
	case what < 3:
		m.doWrite()
	case what < 6 || len(m.order) == 0:
		m.doCreate()
	case what < 9:
		m.doRevert(m.order[r.IntN(len(m.order))], r.IntN(2) == 0)
	case what < 11:
		m.doDelete(m.order[r.IntN(len(m.order))], r.IntN(4) == 0, r.IntN(4) == 0)
	default:
		m.doPrune(1 + r.IntN(4))
	}
}

// TestVerbsOnEverySmallTree goes through all sequences of a few verbs. A choice of -1 is to create; n and -2-n are to revert
// to and to delete the nth snapshot.
func TestVerbsOnEverySmallTree(t *testing.T) {
	var try func(choices []int, depth int)
	try = func(choices []int, depth int) {
		m := newModelled(t)
		for _, c := range choices {
			m.doWrite()
			switch {
			case c == -1:
				m.doCreate()
			case c >= 0:
				m.doRevert(m.order[c], true)
			default:
				m.doDelete(m.order[-2-c], false, false)
			}
		}
		m.compare()
		if depth == 0 {
			return
		}
		try(append(slices.Clone(choices), -1), depth-1)
		for n := range len(m.order) {
			try(append(slices.Clone(choices), n), depth-1)
			try(append(slices.Clone(choices), -2-n), depth-1)
		}
	}
	try(nil, 4)
}
