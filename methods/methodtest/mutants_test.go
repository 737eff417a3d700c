package methodtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
)

var errUntyped = errors.New("something went wrong")

// memo is what mutants remember.
type memo struct {
	count   atomic.Int64
	ref     atomic.Pointer[methods.Ref]
	names   sync.Map
	content atomic.Pointer[shared]
}

func mutations() []mutation {
	return slices.Concat(
		planMutants(), takeMutants(), statMutants(), dropMutants(), openMutants(), changesMutants(), revertMutants(), interruptMutants(),
	)
}

// rewrite gives a snapshot another content.
func (m *mutant) rewrite(ref methods.Ref, content []byte) {
	ctx, source := context.Background(), ref.Origin
	disk := m.store.Disk(source)
	m.store.SetDisk(source, content)
	_ = m.Keeping.Drop(ctx, methods.DropRequest{Ref: ref})
	_ = m.Keeping.Take(ctx, ref)
	m.store.SetDisk(source, disk)
}

// leave makes something for a disk that nobody asked for.
func (m *mutant) leave(ref methods.Ref) {
	ref.Name = "ds-left-" + ref.Disk.Target
	_, _ = m.Keeping.Prepare(context.Background(), []methods.Ref{ref})
}

// spoil changes a byte of a disk.
func (m *mutant) spoil(source string) {
	content := m.store.Disk(source)
	content[len(content)/3]++
	m.store.SetDisk(source, content)
}

func planMutants() []mutation {
	return []mutation{
		{"claims verbs that it lacks", CapsAsDeclared, broken{make: func(m *mutant) methods.Method { return boaster{m} }}},
		{"probes more than it declares", CapsAsDeclared, broken{
			options: memory.Options{Without: methods.Verbs{Source: true}},
			make:    func(m *mutant) methods.Method { return optimist{m} }}},
		{"lists nothing though it says it lists", CapsAsDeclared, broken{
			list: func(context.Context, *mutant, methods.Disk) ([]string, error) { return nil, methods.ErrUnsupported }}},
		{"says it moves the disk, and does not", TraitsAreTrue, broken{traits: func(t *methods.Traits) { t.MovesSource = true }}},
		{"does not know what it costs", TraitsAreTrue, broken{traits: func(t *methods.Traits) { t.TakeCost = "little" }}},
		{"needs the domain off, and plans when it is on", TraitsAreTrue, broken{traits: func(t *methods.Traits) { t.NeedsOff = true }}},
		{"says it takes groups, and prepares none", TraitsAreTrue, broken{
			options: memory.Options{Atomic: true, Without: methods.Verbs{Prepare: true}}}},
		{"does not see that its tool is missing", MissingToolIsUnsupported, broken{tool: func(m *mutant) *mutant { return m }}},
		{"plan makes something", PlanChangesNothing, broken{plan: planMakes}},
		{"plan writes to the disk", PlanChangesNothing, broken{plan: planSpoils}},
		{"plan answers differently", PlanIsDeterministic, broken{plan: planCounts}},
		{"plan is for another size", PlanNamesWhatItWasAsked, broken{plan: planned(func(r *methods.Ref) { r.Size++ })}},
		{"plan forgets the disk", PlanNamesWhatItWasAsked, broken{plan: planned(func(r *methods.Ref) { r.Disk.Target = "" })}},
		{"plan takes a name twice", PlanRefusesTakenName, broken{plan: planAnything}},
		{"plan takes any name", HostileNames, broken{plan: planAnyName}},
		{"plan panics at a long name", HostileNames, broken{plan: planPanics}},
		{"plan's errors have no type", ErrorsAreTyped, broken{plan: planUntyped}},
	}
}

// boaster has six verbs, and says it has them all.
type boaster struct{ methods.Method }

func (boaster) Verbs() methods.Verbs {
	return methods.Verbs{Claim: true, Check: true, Merge: true, Source: true, Changes: true, Revert: true, Keep: true, List: true}
}

// optimist finds a verb for a disk that it did not declare.
type optimist struct{ *mutant }

func (o optimist) Probe(context.Context, methods.Ref) (methods.Verbs, error) {
	v := o.Verbs()
	v.Source = true
	return v, nil
}

func planMakes(ctx context.Context, m *mutant, req methods.PlanRequest) (methods.Ref, error) {
	ref, err := m.Keeping.Plan(ctx, req)
	if err == nil {
		m.leave(ref)
	}
	return ref, err
}

func planSpoils(ctx context.Context, m *mutant, req methods.PlanRequest) (methods.Ref, error) {
	ref, err := m.Keeping.Plan(ctx, req)
	if err == nil {
		m.spoil(ref.Origin)
	}
	return ref, err
}

func planCounts(ctx context.Context, m *mutant, req methods.PlanRequest) (methods.Ref, error) {
	ref, err := m.Keeping.Plan(ctx, req)
	ref.Reserve = m.memo.count.Add(1)
	return ref, err
}

func planned(wrong func(*methods.Ref)) func(context.Context, *mutant, methods.PlanRequest) (methods.Ref, error) {
	return func(ctx context.Context, m *mutant, req methods.PlanRequest) (methods.Ref, error) {
		ref, err := m.Keeping.Plan(ctx, req)
		wrong(&ref)
		return ref, err
	}
}

func planAnything(ctx context.Context, m *mutant, req methods.PlanRequest) (methods.Ref, error) {
	ref, err := m.Keeping.Plan(ctx, req)
	if errors.Is(err, methods.ErrExists) {
		return ref, nil
	}
	return ref, err
}

func planAnyName(ctx context.Context, m *mutant, req methods.PlanRequest) (methods.Ref, error) {
	name := "ds-" + req.ID + "-" + req.Disk.Target
	req.ID, req.Disk.Target = "plain", "vda"
	ref, err := m.Keeping.Plan(ctx, req)
	ref.Name = name
	return ref, err
}

func planPanics(ctx context.Context, m *mutant, req methods.PlanRequest) (methods.Ref, error) {
	var room [64]byte
	for i := range req.ID {
		room[i] = req.ID[i]
	}
	return m.Keeping.Plan(ctx, req)
}

func planUntyped(ctx context.Context, m *mutant, req methods.PlanRequest) (methods.Ref, error) {
	ref, err := m.Keeping.Plan(ctx, req)
	if errors.Is(err, methods.ErrUnsupported) {
		err = errUntyped
	}
	return ref, err
}

func takeMutants() []mutation {
	atomic := memory.Options{Atomic: true}
	return []mutation{
		{"take does nothing", TakeThenStat, broken{take: func(context.Context, *mutant, *readied) error { return nil }}},
		{"the room a snapshot takes is nonsense", TakeThenStat, broken{
			stat: func(ctx context.Context, m *mutant, ref methods.Ref) (methods.Info, error) {
				_, err := m.Keeping.Stat(ctx, ref)
				return methods.Info{BytesUsed: -7}, err
			}}},
		{"taking twice overwrites", TakeTwice, broken{prepare: prepareOver}},
		{"taking twice is no error", TakeTwice, broken{prepare: prepareAgain, take: takeAgain}},
		{"open gives the live disk", SnapshotIsImmutable, broken{open: openLive}},
		{"take writes to the disk", TakeLeavesDisk, broken{take: takeSpoils}},
		{"take takes the neighbour as well", TakeLeavesDisk, broken{take: takeNeighbour}},
		{"a group is taken by half", GroupAllOrNothing, broken{options: atomic, take: takeHalf}},
		{"a group that fails is no error", GroupAllOrNothing, broken{options: atomic, take: takeSilent}},
		{"takes side by side mix up", ConcurrentTakes, broken{take: takeMixed}},
	}
}

func prepareOver(ctx context.Context, m *mutant, refs []methods.Ref) (methods.Prepared, error) {
	for _, ref := range refs {
		_ = m.Keeping.Drop(ctx, methods.DropRequest{Ref: ref})
	}
	return m.Keeping.Prepare(ctx, refs)
}

func prepareAgain(ctx context.Context, m *mutant, refs []methods.Ref) (methods.Prepared, error) {
	ready, err := m.Keeping.Prepare(ctx, refs)
	if errors.Is(err, methods.ErrExists) {
		return &readied{}, nil
	}
	return ready, err
}

func takeAgain(ctx context.Context, _ *mutant, r *readied) error {
	if _, there := r.Prepared.(*readied); there {
		r.Prepared = nothing{}
		return nil
	}
	return r.Prepared.Take(ctx)
}

type nothing struct{}

func (nothing) Take(context.Context) error  { return nil }
func (nothing) Close(context.Context) error { return nil }

func takeSpoils(ctx context.Context, m *mutant, r *readied) error {
	err := r.Prepared.Take(ctx)
	m.spoil(r.refs[0].Origin)
	return err
}

func takeNeighbour(ctx context.Context, m *mutant, r *readied) error {
	ref := r.refs[0]
	ref.Disk.Target, ref.Origin, ref.Name = "vdb", memory.Prefix+"vdb", strings.TrimSuffix(ref.Name, "vda")+"vdb"
	return errors.Join(m.Keeping.Take(ctx, ref), r.Prepared.Take(ctx))
}

func takeHalf(ctx context.Context, m *mutant, r *readied) error {
	for _, ref := range r.refs {
		_ = m.Keeping.Drop(ctx, methods.DropRequest{Ref: ref})
		if err := m.Keeping.Take(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

func takeSilent(ctx context.Context, m *mutant, r *readied) error {
	_ = takeHalf(ctx, m, r)
	return nil
}

// takeMixed has room for one act only, and no lock.
func takeMixed(ctx context.Context, m *mutant, r *readied) error {
	m.memo.ref.Store(&r.refs[0])
	time.Sleep(5 * time.Millisecond)
	other := *m.memo.ref.Load()
	_ = m.Keeping.Drop(ctx, methods.DropRequest{Ref: other})
	return m.Keeping.Take(ctx, other)
}

func statMutants() []mutation {
	return []mutation{
		{"stat finds what is not there", StatMissing, broken{
			stat: func(context.Context, *mutant, methods.Ref) (methods.Info, error) { return methods.Info{}, nil }}},
		{"stat's errors have no type", StatMissing, broken{stat: statUntyped}},
		{"stat takes preparations for the snapshot", StatPrepared, broken{stat: statPreparedToo}},
		{"list forgets what is prepared", ListSeesAll, broken{list: listTaken}},
		{"list shows other disks' snapshots", ListSeesAll, broken{
			list: func(_ context.Context, m *mutant, _ methods.Disk) ([]string, error) { return m.store.Objects(), nil }}},
		{"list shows what is gone", ListSeesAll, broken{list: listGone}},
	}
}

func statUntyped(ctx context.Context, m *mutant, ref methods.Ref) (methods.Info, error) {
	info, err := m.Keeping.Stat(ctx, ref)
	if err != nil {
		err = errUntyped
	}
	return info, err
}

func statPreparedToo(ctx context.Context, m *mutant, ref methods.Ref) (methods.Info, error) {
	if slices.Contains(m.store.Objects(), ref.Name) {
		return methods.Info{}, nil
	}
	return m.Keeping.Stat(ctx, ref)
}

func listTaken(ctx context.Context, m *mutant, disk methods.Disk) ([]string, error) {
	names, err := m.Keeping.List(ctx, disk)
	return slices.DeleteFunc(names, func(name string) bool { return m.store.Snapshot(name) == nil }), err
}

func listGone(ctx context.Context, m *mutant, disk methods.Disk) ([]string, error) {
	now, err := m.Keeping.List(ctx, disk)
	for _, name := range now {
		m.memo.names.Store(name, disk.Target)
	}
	names := []string{}
	m.memo.names.Range(func(name, target any) bool {
		if target == disk.Target {
			names = append(names, name.(string))
		}
		return true
	})
	return names, err
}

func openMutants() []mutation {
	return []mutation{
		{"open of what is not there is empty", OpenMissing, broken{
			open: func(_ context.Context, m *mutant, ref methods.Ref) (methods.Content, error) {
				return bytesContent(m.store.Snapshot(ref.Name)), nil
			}}},
		{"open's errors have no type", OpenMissing, broken{open: openUntyped}},
		{"one reader's close is the other's", OpenTwiceAtOnce, broken{open: openShared}},
		{"open leaves something behind", OpenLeavesNoTrace, broken{open: openLeaves}},
		{"open writes to the disk", OpenLeavesNoTrace, broken{open: openSpoils}},
		{"reads across pages are short", ReadsAnywhere, broken{open: opened(func(c methods.Content) methods.Content { return shortReads{c} })}},
		{"reads past the end are no end", ReadsAnywhere, broken{open: opened(func(c methods.Content) methods.Content { return endless{c} })}},
		{"the content's size is rounded up", ReadsAnywhere, broken{open: opened(func(c methods.Content) methods.Content { return rounded{c} })}},
		{"the backup source is the live disk", SourceReads, broken{
			source: func(_ *mutant, ref methods.Ref) methods.BackupSource {
				return methods.BackupSource{XML: "<source/>", URI: ref.Origin, Format: "raw"}
			}}},
		{"the backup source has no address", SourceReads, broken{
			source: func(*mutant, methods.Ref) methods.BackupSource {
				return methods.BackupSource{XML: "<source/>", Format: "qcow2"}
			}}},
		{"a byte is read wrong", GenericRevert, broken{open: opened(func(c methods.Content) methods.Content { return flipped{c} })}},
	}
}

func opened(wrong func(methods.Content) methods.Content) func(context.Context, *mutant, methods.Ref) (methods.Content, error) {
	return func(ctx context.Context, m *mutant, ref methods.Ref) (methods.Content, error) {
		c, err := m.Keeping.Open(ctx, ref)
		if err != nil {
			return nil, err
		}
		return wrong(c), nil
	}
}

func openLive(ctx context.Context, m *mutant, ref methods.Ref) (methods.Content, error) {
	if _, err := m.Keeping.Stat(ctx, ref); err != nil {
		return nil, err
	}
	return m.store.OpenDisk(ctx, ref.Disk)
}

func openUntyped(ctx context.Context, m *mutant, ref methods.Ref) (methods.Content, error) {
	c, err := m.Keeping.Open(ctx, ref)
	if err != nil {
		err = errUntyped
	}
	return c, err
}

func openLeaves(ctx context.Context, m *mutant, ref methods.Ref) (methods.Content, error) {
	m.leave(ref)
	return m.Keeping.Open(ctx, ref)
}

func openSpoils(ctx context.Context, m *mutant, ref methods.Ref) (methods.Content, error) {
	m.spoil(ref.Origin)
	return m.Keeping.Open(ctx, ref)
}

func openShared(ctx context.Context, m *mutant, ref methods.Ref) (methods.Content, error) {
	c, err := m.Keeping.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	if !m.memo.content.CompareAndSwap(nil, &shared{Content: c}) {
		return m.memo.content.Load(), nil
	}
	return m.memo.content.Load(), nil
}

// shared is one content for all readers.
type shared struct {
	methods.Content
	closed atomic.Bool
}

func (s *shared) ReadAt(p []byte, offset int64) (int, error) {
	if s.closed.Load() {
		return 0, errors.New("closed")
	}
	return s.Content.ReadAt(p, offset)
}

func (s *shared) Close() error {
	s.closed.Store(true)
	return nil
}

type shortReads struct{ methods.Content }

func (s shortReads) ReadAt(p []byte, offset int64) (int, error) {
	return s.Content.ReadAt(p[:min(int64(len(p)), sector-offset%sector)], offset)
}

type endless struct{ methods.Content }

func (e endless) ReadAt(p []byte, offset int64) (int, error) {
	_, err := e.Content.ReadAt(p, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return len(p), err
}

type rounded struct{ methods.Content }

func (r rounded) Size() int64 { return r.Content.Size() + sector }

type flipped struct{ methods.Content }

func (f flipped) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.Content.ReadAt(p, offset)
	if offset == 0 && n > 77 {
		p[77]++
	}
	return n, err
}

type byteReader struct{ *bytes.Reader }

func (byteReader) Close() error { return nil }

func bytesContent(p []byte) methods.Content { return byteReader{bytes.NewReader(p)} }
