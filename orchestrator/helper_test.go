package orchestrator_test

import (
	"context"
	"strings"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/xmlspec"
)

// group takes all its disks at once.
func group(r *rig) methods.Method {
	return memory.New(r.store, memory.Options{Name: "group", Atomic: true})
}

// moving puts the disks onto another source.
func moving(r *rig) methods.Method { return movingWithout(r, methods.Verbs{}) }

func movingWithout(r *rig, v methods.Verbs) methods.Method {
	move := func(_ context.Context, _ methods.Domain, target, file string) error {
		return r.domain.SetSource(context.Background(), target, file, "")
	}
	return memory.New(r.store, memory.Options{Name: "moving", Move: move, Without: v})
}

// keeping keeps the present while it reverts.
func keeping(r *rig) methods.Method {
	return memory.Keeping{Method: memory.New(r.store, memory.Options{Name: "keeping"})}
}

// layered is a method whose snapshots depend on each other, as images in a chain do.
type layered struct {
	*memory.Method
	store *memory.Store
	// needs has the id of the snapshot that needs the one with this id.
	needs map[string]string
	// renames has the id of the snapshot that takes the place, and the name, of the one with this id.
	renames map[string]string
	// disturbs has the id of the snapshot that cannot be read while the one with this id is dropped.
	disturbs map[string]string
}

func (m *layered) Verbs() methods.Verbs {
	v := m.Method.Verbs()
	v.Merge = true
	return v
}

// layeredAs makes the method and gives it to the test as well.
func layeredAs(m **layered) func(*rig) methods.Method {
	return func(r *rig) methods.Method {
		*m = &layered{memory.New(r.store, memory.Options{Name: "layered"}), r.store, map[string]string{}, map[string]string{}, map[string]string{}}
		return *m
	}
}

// PlanDrop implements methods.Merger.
func (l *layered) PlanDrop(_ context.Context, req methods.DropRequest) (methods.DropPlan, error) {
	plan := methods.DropPlan{}
	if id := l.disturbs[req.Ref.Snapshot]; id != "" {
		plan.Disturbs = []string{id}
	}
	for _, o := range req.Others {
		if o.Snapshot == l.needs[req.Ref.Snapshot] {
			plan.NeededBy = append(plan.NeededBy, "snapshot "+o.Snapshot)
		}
		if o.Snapshot == l.renames[req.Ref.Snapshot] && l.store.Snapshot(o.Name) != nil {
			o.Name = req.Ref.Name
			plan.Renamed = append(plan.Renamed, o)
		}
	}
	return plan, nil
}

// Drop implements methods.Method.
func (l *layered) Drop(ctx context.Context, req methods.DropRequest) error {
	for _, o := range req.Others {
		if o.Snapshot == l.renames[req.Ref.Snapshot] {
			req.Ref.Name = o.Name
		}
	}
	return l.Method.Drop(ctx, req)
}

// useMethod is a descriptor that gives the disks to a method.
func useMethod(method string, targets ...string) *xmlspec.Descriptor {
	d := &xmlspec.Descriptor{}
	for _, target := range targets {
		d.Disks = append(d.Disks, xmlspec.DescriptorDisk{Target: target, Spec: &xmlspec.MethodSpec{Name: method}})
	}
	return d
}

// parse reads a descriptor as a person writes it.
func (r *rig) parse(text string) *xmlspec.Descriptor {
	r.t.Helper()
	d, err := xmlspec.ParseDescriptor([]byte(text))
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// stepsLike are the steps done so far that begin with prefix.
func (r *rig) stepsLike(prefix string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var like []string
	for _, s := range r.steps {
		if strings.HasPrefix(s, prefix) {
			like = append(like, s)
		}
	}
	return like
}

func (r *rig) journal() journal.Journal {
	return journal.Journal{Dir: r.dir + "/journal"}
}

// beginJournal leaves a journal as a program does that dies at once, or too late.
func (r *rig) beginJournal(verb journal.Verb, name string) {
	r.t.Helper()
	i := journal.Intent{Verb: verb, Domain: "web1", UUID: r.domain.uuid, Started: r.clock}
	for _, s := range r.lineage().Snapshots {
		if s.Name == name {
			i.Snapshot = s.ID
		}
	}
	if err := r.journal().Begin(i); err != nil {
		r.t.Fatal(err)
	}
}

// takeBy makes a snapshot of all disks by one method.
func (r *rig) takeBy(name, method string) *orchestrator.Snapshot {
	r.t.Helper()
	s, err := r.Create(r.t.Context(), orchestrator.CreateOptions{
		Domain: "web1", Name: name, Descriptor: useMethod(method, "vda", "vdb"),
	})
	if err != nil {
		r.t.Fatalf("create %s: %v", name, err)
	}
	return s
}
