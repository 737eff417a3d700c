// Package memory is the reference method: its storage is a map in this process. What it takes is really kept and what
// it reverts really comes back, so the verbs can be tested with it, and a new method can be compared with it.
package memory

import (
	"context"
	"fmt"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// Name is what descriptors call the method, unless Options say otherwise.
const Name = "memory"

// Prefix is what the file of a disk in a Store begins with. No such file is ever opened.
const Prefix = "/memory/"

// Options make other methods of the same storage.
type Options struct {
	// Name is Name when it is empty.
	Name string
	// Atomic takes all disks or none.
	Atomic bool
	// Lock is the lock of every ref; empty when the acts may run side by side.
	Lock string
	// Move puts a disk of a domain onto another file. When it is set, every snapshot moves its disk.
	Move func(ctx context.Context, domain methods.Domain, target, file string) error
	// Without are verbs that the method is not to have.
	Without methods.Verbs
}

// Method is the method.
type Method struct {
	store *Store
	opts  Options
}

// New makes a method on a store, which several may share.
func New(s *Store, o Options) *Method {
	if o.Name == "" {
		o.Name = Name
	}
	return &Method{store: s, opts: o}
}

// Traits implements methods.Method.
func (m *Method) Traits() methods.Traits {
	return methods.Traits{
		Name: m.opts.Name, Summary: "disks in the memory of this process",
		Atomic: m.opts.Atomic, MovesSource: m.opts.Move != nil,
		TakeCost: methods.CostSize, RevertCost: methods.CostSize,
	}
}

// Verbs implements methods.Declarer.
func (m *Method) Verbs() methods.Verbs {
	w := m.opts.Without
	return methods.Verbs{
		Claim: !w.Claim, Prepare: !w.Prepare, Source: !w.Source, Changes: !w.Changes, Revert: !w.Revert, List: !w.List,
	}
}

// Claim implements methods.Claimer.
func (m *Method) Claim(_ context.Context, d methods.Disk) methods.Claim {
	if !strings.HasPrefix(d.Source.File, Prefix) {
		return methods.Claim{}
	}
	return methods.Claim{Rank: methods.RankOnly, Why: "a disk in memory"}
}

// options is the body of <diskSnapshot>.
type options struct {
	// Reserve is recorded and means nothing.
	Reserve int64 `xml:"reserve,attr"`
}

// Plan implements methods.Method.
func (m *Method) Plan(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	if err := m.store.reach(ctx, AtPlan, req.Disk.Target); err != nil {
		return methods.Ref{}, err
	}
	var opts options
	if err := methods.Decode(req.Spec, &opts); err != nil {
		return methods.Ref{}, err
	}
	name, err := methods.ObjectName(req.ID, req.Disk.Target)
	if err != nil {
		return methods.Ref{}, err
	}
	if m.store.has(name) {
		return methods.Ref{}, fmt.Errorf("plan %s: %w", name, methods.ErrExists)
	}
	return m.ref(req, name, opts)
}

func (m *Method) ref(req methods.PlanRequest, name string, opts options) (methods.Ref, error) {
	source := req.Disk.Source.File
	if !strings.HasPrefix(source, Prefix) {
		return methods.Ref{}, methods.Unsupportedf("disk %s is not in memory", req.Disk.Target)
	}
	size, ok := m.store.size(source)
	if !ok {
		return methods.Ref{}, methods.Blockedf("disk %s: there is no %s", req.Disk.Target, source)
	}
	ref := methods.Ref{
		Snapshot: req.ID, Method: m.opts.Name, Disk: req.Disk, Origin: source, Name: name,
		Size: size, Reserve: opts.Reserve, Lock: m.opts.Lock,
	}
	if m.opts.Move != nil {
		ref.Active = source + "." + name
	}
	return ref, nil
}

// Take implements methods.Method.
func (m *Method) Take(ctx context.Context, ref methods.Ref) error {
	return methods.TakeNow(ctx, m, ref)
}

// Stat implements methods.Method.
func (m *Method) Stat(ctx context.Context, ref methods.Ref) (methods.Info, error) {
	if err := m.store.reach(ctx, AtStat, ref.Disk.Target); err != nil {
		return methods.Info{}, err
	}
	size, err := m.store.stat(ref.Name)
	return methods.Info{BytesUsed: size}, err
}

// CheckDrop implements methods.DropChecker.
func (m *Method) CheckDrop(ctx context.Context, req methods.DropRequest) error {
	return m.store.reach(ctx, AtCheckDrop, req.Ref.Disk.Target)
}

// Drop implements methods.Method. A disk that the snapshot moved stays where it is.
func (m *Method) Drop(ctx context.Context, req methods.DropRequest) error {
	target := req.Ref.Disk.Target
	if err := m.store.reach(ctx, AtDrop, target); err != nil {
		return err
	}
	m.store.drop(req.Ref.Name)
	req.Progress.Report(req.Ref.Size, req.Ref.Size)
	return m.store.reach(ctx, AfterDrop, target)
}

// Source implements methods.Sourcer.
func (m *Method) Source(_ context.Context, ref methods.Ref) (methods.BackupSource, error) {
	file := Prefix + "snapshots/" + ref.Name
	return methods.BackupSource{XML: fmt.Sprintf("<source file='%s'/>", file), URI: file, Format: "raw"}, nil
}

var (
	_ methods.Method      = (*Method)(nil)
	_ methods.Sourcer     = (*Method)(nil)
	_ methods.Claimer     = (*Method)(nil)
	_ methods.Preparer    = (*Method)(nil)
	_ methods.Reverter    = (*Method)(nil)
	_ methods.Declarer    = (*Method)(nil)
	_ methods.Differ      = (*Method)(nil)
	_ methods.Lister      = (*Method)(nil)
	_ methods.DropChecker = (*Method)(nil)
	_ methods.Disks       = (*Store)(nil)
)
