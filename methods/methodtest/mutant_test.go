package methodtest

import (
	"context"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
)

// mutation is a method that is broken in one way, and the check that has to find it.
type mutation struct {
	name   string
	caught Check
	broken broken
}

// broken are verbs that stand in for those of the memory method; nil ones are as they should be.
type broken struct {
	options     memory.Options
	make        func(*mutant) methods.Method
	tool        func(*mutant) *mutant
	traits      func(*methods.Traits)
	plan        func(context.Context, *mutant, methods.PlanRequest) (methods.Ref, error)
	prepare     func(context.Context, *mutant, []methods.Ref) (methods.Prepared, error)
	take        func(context.Context, *mutant, *readied) error
	close       func(context.Context, *mutant, *readied) error
	stat        func(context.Context, *mutant, methods.Ref) (methods.Info, error)
	drop        func(context.Context, *mutant, methods.DropRequest) error
	open        func(context.Context, *mutant, methods.Ref) (methods.Content, error)
	source      func(*mutant, methods.Ref) methods.BackupSource
	changes     func(context.Context, *mutant, methods.ChangesRequest) ([]methods.Extent, error)
	checkRevert func(context.Context, *mutant, methods.RevertRequest) error
	revert      func(context.Context, *mutant, methods.RevertRequest) (methods.Reverted, error)
	list        func(context.Context, *mutant, methods.Disk) ([]string, error)
}

// mutant is the memory method with some of its verbs broken.
type mutant struct {
	memory.Keeping
	store  *memory.Store
	broken broken
	// memo is what a mutant remembers between its verbs.
	memo memo
}

// readied is what a mutant has prepared.
type readied struct {
	methods.Prepared
	mutant *mutant
	refs   []methods.Ref
}

func (m *mutant) Traits() methods.Traits {
	t := m.Keeping.Traits()
	if m.broken.traits != nil {
		m.broken.traits(&t)
	}
	return t
}

func (m *mutant) Plan(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	return either(m, m.broken.plan, m.Keeping.Plan)(ctx, req)
}

func (m *mutant) PlanKeep(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	return m.Plan(ctx, req)
}

func (m *mutant) Prepare(ctx context.Context, refs []methods.Ref) (methods.Prepared, error) {
	ready, err := either(m, m.broken.prepare, m.Keeping.Prepare)(ctx, refs)
	return &readied{ready, m, refs}, err
}

func (m *mutant) Take(ctx context.Context, ref methods.Ref) error {
	return methods.TakeNow(ctx, m, ref)
}

func (r *readied) Take(ctx context.Context) error {
	if r.mutant.broken.take != nil {
		return r.mutant.broken.take(ctx, r.mutant, r)
	}
	return r.Prepared.Take(ctx)
}

func (r *readied) Close(ctx context.Context) error {
	if r.mutant.broken.close != nil {
		return r.mutant.broken.close(ctx, r.mutant, r)
	}
	return r.Prepared.Close(ctx)
}

func (m *mutant) Stat(ctx context.Context, ref methods.Ref) (methods.Info, error) {
	return either(m, m.broken.stat, m.Keeping.Stat)(ctx, ref)
}

func (m *mutant) Drop(ctx context.Context, req methods.DropRequest) error {
	if m.broken.drop != nil {
		return m.broken.drop(ctx, m, req)
	}
	return m.Keeping.Drop(ctx, req)
}

func (m *mutant) Open(ctx context.Context, ref methods.Ref) (methods.Content, error) {
	return either(m, m.broken.open, m.Keeping.Open)(ctx, ref)
}

func (m *mutant) Source(ctx context.Context, ref methods.Ref) (methods.BackupSource, error) {
	if m.broken.source != nil {
		return m.broken.source(m, ref), nil
	}
	return m.Keeping.Source(ctx, ref)
}

func (m *mutant) Changes(ctx context.Context, req methods.ChangesRequest) ([]methods.Extent, error) {
	return either(m, m.broken.changes, m.Keeping.Changes)(ctx, req)
}

func (m *mutant) CheckRevert(ctx context.Context, req methods.RevertRequest) error {
	if m.broken.checkRevert != nil {
		return m.broken.checkRevert(ctx, m, req)
	}
	return m.Keeping.CheckRevert(ctx, req)
}

func (m *mutant) Revert(ctx context.Context, req methods.RevertRequest) (methods.Reverted, error) {
	return either(m, m.broken.revert, m.Keeping.Revert)(ctx, req)
}

func (m *mutant) List(ctx context.Context, disk methods.Disk) ([]string, error) {
	return either(m, m.broken.list, m.Keeping.List)(ctx, disk)
}

// either is the broken verb, or the whole one where it is not broken.
func either[In, Out any](m *mutant, broken func(context.Context, *mutant, In) (Out, error), whole func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	if broken == nil {
		return whole
	}
	return func(ctx context.Context, in In) (Out, error) { return broken(ctx, m, in) }
}

func (b broken) suite() Suite {
	s := Suite{Name: "mutant", Size: 128 << 10, New: b.fixture, WithoutTool: func(t T) Fixture { return b.withoutTool().fixture(t) }}
	return s
}

func (b broken) fixture(T) Fixture {
	store := memory.NewStore()
	m := &mutant{Keeping: memory.Keeping{Method: memory.New(store, b.options)}, store: store, broken: b}
	f := Fixture{
		Method: m, Disks: store,
		NewDisk: func(_ T, target string, content []byte) methods.Disk {
			disk := methods.Disk{Target: target, Source: methods.Source{File: memory.Prefix + target}, Format: "raw"}
			store.SetDisk(disk.Source.File, content)
			return disk
		},
		Objects: func(_ T, disk methods.Disk) []string { return objectsOf(store, disk) },
		Grow:    func(_ T, disk methods.Disk) { store.SetDisk(disk.Source.File, append(store.Disk(disk.Source.File), 0)) },
		Spoil:   func(_ T, disk methods.Disk) { store.RemoveDisk(disk.Source.File) },
		OpenSource: func(_ context.Context, s methods.BackupSource) (methods.Content, error) {
			return sourceOf(store, s), nil
		},
	}
	if b.make != nil {
		f.Method = b.make(m)
	}
	return f
}

func objectsOf(store *memory.Store, disk methods.Disk) []string {
	return slices.DeleteFunc(store.Objects(), func(name string) bool { return !strings.HasSuffix(name, "-"+disk.Target) })
}

func sourceOf(store *memory.Store, s methods.BackupSource) methods.Content {
	if disk := store.Disk(s.URI); disk != nil {
		return bytesContent(disk)
	}
	return bytesContent(store.Snapshot(path.Base(s.URI)))
}

// withoutTool is the mutant on a host where something is missing, which it finds or not.
func (b broken) withoutTool() broken {
	if b.tool == nil {
		b.make = func(m *mutant) methods.Method { return toolless{m, methods.Unsupportedf("the tool is missing")} }
		return b
	}
	b.make = func(m *mutant) methods.Method { return b.tool(m) }
	return b
}

// toolless finds out that its tool is missing.
type toolless struct {
	*mutant
	err error
}

func (m toolless) Check(context.Context) error { return m.err }

func (m toolless) Plan(context.Context, methods.PlanRequest) (methods.Ref, error) {
	return methods.Ref{}, m.err
}

func (m toolless) Verbs() methods.Verbs {
	v := m.mutant.Verbs()
	v.Check = true
	return v
}

// outcome runs one check of a suite, and says what it found.
func outcome(t *testing.T, s Suite, c check) string {
	t.Helper()
	try := newTrial(t)
	try.run(func() { s.perform(try, c) })
	return try.report()
}

func TestEveryMutantIsCaught(t *testing.T) {
	whole := broken{options: memory.Options{Atomic: true}}.suite()
	sound := whole.facts(t)
	for _, c := range checks() {
		if why := c.needs(sound); why != "" {
			t.Errorf("%s is not checked: %s", c.name, why)
		}
		if found := outcome(t, whole, c); found != "" {
			t.Errorf("%s fails what is whole: %s", c.name, found)
		}
	}
	for _, m := range mutations() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(checks(), func(c check) bool { return c.name == m.caught })
			if i < 0 {
				t.Fatalf("there is no check %s", m.caught)
			}
			found := outcome(t, m.broken.suite(), checks()[i])
			if found == "" {
				t.Errorf("%s does not find it", m.caught)
			}
			t.Logf("%s: %.200s", m.caught, found)
		})
	}
}

func TestEveryCheckCatchesSomething(t *testing.T) {
	for _, c := range checks() {
		if !slices.ContainsFunc(mutations(), func(m mutation) bool { return m.caught == c.name }) {
			t.Errorf("no mutant is for %s", c.name)
		}
	}
}
