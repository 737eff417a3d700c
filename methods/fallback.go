package methods

import (
	"context"
	"errors"
	"fmt"
)

// VerbsOf says which optional verbs a method has.
func VerbsOf(m Method) Verbs {
	if d, ok := m.(Declarer); ok {
		return d.Verbs()
	}
	return Verbs{
		Claim: has[Claimer](m), Check: has[Checker](m), Prepare: has[Preparer](m), Merge: has[Merger](m),
		Source: has[Sourcer](m), Changes: has[Differ](m), Revert: has[Reverter](m), Keep: has[Keeper](m), List: has[Lister](m),
		Warn: has[Warner](m),
	}
}

func has[V any](m Method) bool {
	_, ok := m.(V)
	return ok
}

// Probe says which optional verbs there are for the disk of a planned ref.
func Probe(ctx context.Context, m Method, ref Ref) (Verbs, error) {
	if p, ok := m.(Prober); ok {
		return p.Probe(ctx, ref)
	}
	return VerbsOf(m), nil
}

// ClaimDisk asks the method how well it fits.
func ClaimDisk(ctx context.Context, m Method, disk Disk) Claim {
	if !VerbsOf(m).Claim {
		return Claim{}
	}
	return m.(Claimer).Claim(ctx, disk)
}

// CheckHost asks the method whether it works on this host.
func CheckHost(ctx context.Context, m Method) error {
	if !VerbsOf(m).Check {
		return nil
	}
	return m.(Checker).Check(ctx)
}

// Linked fails with ErrUnsupported where the program lacks what the method wants linked in.
func Linked(m Method) error {
	if l, ok := m.(Linker); ok {
		return l.Linked()
	}
	return nil
}

// Prepare makes refs of one method ready, by its Preparer or else by doing all work in Take.
func Prepare(ctx context.Context, m Method, refs []Ref) (Prepared, error) {
	if !VerbsOf(m).Prepare {
		return plain{m, refs}, nil
	}
	return m.(Preparer).Prepare(ctx, refs)
}

type plain struct {
	method Method
	refs   []Ref
}

func (p plain) Take(ctx context.Context) error {
	for _, ref := range p.refs {
		if err := p.method.Take(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

func (p plain) Close(context.Context) error { return nil }

// TakeNow prepares and takes one ref: Take for a method whose work is in Prepare.
func TakeNow(ctx context.Context, p Preparer, ref Ref) (err error) {
	ready, err := p.Prepare(ctx, []Ref{ref})
	if err != nil {
		return err
	}
	// What Prepare opened is let go of also when the context has ended.
	defer func() { err = errors.Join(err, ready.Close(context.WithoutCancel(ctx))) }()
	return ready.Take(ctx)
}

// PlanDrop asks the method, or says that nobody else is concerned.
func PlanDrop(ctx context.Context, m Method, req DropRequest) (DropPlan, error) {
	if !VerbsOf(m).Merge {
		return DropPlan{}, nil
	}
	return m.(Merger).PlanDrop(ctx, req)
}

// CheckDrop finds, as far as the method can say, why Drop of the same request would fail. It changes nothing.
func CheckDrop(ctx context.Context, m Method, req DropRequest) error {
	if c, ok := m.(DropChecker); ok {
		return c.CheckDrop(ctx, req)
	}
	return nil
}

// SourceOf asks the method where others read the snapshot. It fails with ErrUnsupported where nobody else can.
func SourceOf(ctx context.Context, m Method, ref Ref) (BackupSource, error) {
	if !VerbsOf(m).Source {
		return BackupSource{}, unsupported(m, "backup source")
	}
	return m.(Sourcer).Source(ctx, ref)
}

// Changes asks the method which extents differ. It fails with ErrUnsupported where only reading both sides tells.
func Changes(ctx context.Context, m Method, req ChangesRequest) ([]Extent, error) {
	if !VerbsOf(m).Changes {
		return nil, unsupported(m, "list of changes")
	}
	return m.(Differ).Changes(ctx, req)
}

// List asks the method what there is of the disk's snapshots. It fails with ErrUnsupported where the method cannot say.
func List(ctx context.Context, m Method, disk Disk) ([]string, error) {
	if !VerbsOf(m).List {
		return nil, unsupported(m, "list of snapshots")
	}
	return m.(Lister).List(ctx, disk)
}

// Warn asks the method what it sees coming; nothing, where it cannot say.
func Warn(ctx context.Context, m Method, disk Disk) ([]Warning, error) {
	if !VerbsOf(m).Warn {
		return nil, nil
	}
	return m.(Warner).Warn(ctx, disk)
}

// PlanSafety names the snapshot of the present that goes before a revert by the given way. The answer's second value
// says that Revert makes it, so that it must not be taken first.
func PlanSafety(ctx context.Context, m Method, how How, req PlanRequest) (Ref, bool, error) {
	if VerbsOf(m).Keep && how == HowNative {
		ref, err := m.(Keeper).PlanKeep(ctx, req)
		return ref, true, err
	}
	ref, err := m.Plan(ctx, req)
	return ref, false, err
}

// CheckRevert finds every reason why Revert of the same request would fail, and says which way it will go: the
// storage's own, where there is one that leaves every snapshot as it is, else the generic one. It changes nothing.
func CheckRevert(ctx context.Context, m Method, req RevertRequest) (How, error) {
	if err := checkOff(req.Disk); err != nil {
		return "", err
	}
	if revertsNatively(m, req) {
		err := m.(Reverter).CheckRevert(ctx, req)
		if !errors.Is(err, ErrUnsupported) {
			return HowNative, err
		}
	}
	return checkGeneric(ctx, m, req)
}

// ExpectRevert says which way a revert to the ref will most likely go, by what the method says of itself. CheckRevert
// knows.
func ExpectRevert(ctx context.Context, m Method, ref Ref) (How, error) {
	verbs, err := Probe(ctx, m, ref)
	switch {
	case err != nil:
		return "", fmt.Errorf("probe disk %s: %w", ref.Disk.Target, err)
	case verbs.Revert && !m.Traits().RevertConsumes:
		return HowNative, nil
	case verbs.Changes:
		return HowChangedExtents, nil
	default:
		return HowCompare, nil
	}
}

// Revert gives the disk the content of the snapshot by the way that CheckRevert said. The generic way follows the native
// one only where that is unsupported, never where it was begun, and never where the native one was to keep the present.
func Revert(ctx context.Context, m Method, req RevertRequest) (Reverted, error) {
	if err := checkOff(req.Disk); err != nil {
		return Reverted{}, err
	}
	if req.How != HowNative {
		return revertGenerically(ctx, m, req)
	}
	done, err := revertNatively(ctx, m, req)
	if errors.Is(err, ErrUnsupported) && !req.Again && req.Keep == nil {
		return revertGenerically(ctx, m, req)
	}
	return done, err
}

func checkOff(d Disk) error {
	if d.Domain.Active {
		return &Blocked{What: "the domain is active", Hint: "shut it down first"}
	}
	return nil
}

// revertNatively also serves a request that was recorded when the method had a revert.
func revertNatively(ctx context.Context, m Method, req RevertRequest) (Reverted, error) {
	if !VerbsOf(m).Revert {
		return Reverted{}, unsupported(m, "revert of its own")
	}
	return m.(Reverter).Revert(ctx, req)
}

func revertsNatively(m Method, req RevertRequest) bool {
	t := m.Traits()
	harmful := t.RevertConsumes || t.RevertDropsYounger && len(req.Others) > 0
	return VerbsOf(m).Revert && !harmful
}

func unsupported(m Method, what string) error {
	return fmt.Errorf("%s has no %s: %w", m.Traits().Name, what, ErrUnsupported)
}
