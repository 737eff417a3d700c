package orchestrator

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/base"
	"github.com/domsnap/domsnap/orchestrator/hold"
	"github.com/domsnap/domsnap/orchestrator/replica"
	"github.com/domsnap/domsnap/xmlspec"
)

// ReplicateOptions say what goes where.
type ReplicateOptions struct {
	Domain, Snapshot string
	// Disks are targets; none for all disks of the snapshot.
	Disks []string
	// To is the name of the place, Place is it.
	To    string
	Place replica.Place
	// Compare trusts no storage about what has changed, and reads all.
	Compare bool
	// Unlinked is called before anything is done where a method of the domain's snapshots lacks what is not linked into this
	// program, which may go on as another one; may be nil.
	Unlinked func() error
}

// Replicated is what a replication did.
type Replicated struct {
	Domain     string `json:"domain"`
	DomainUUID string `json:"domain_uuid"`
	Name       string `json:"name"`
	ID         string `json:"id"`
	To         string `json:"to"`
	State      string `json:"state"`
	// Base is the name of the snapshot whose replica it began as, or its id where it has no name here any more.
	Base *string `json:"base"`
	// Already: it was complete before. Resumed: an earlier attempt had begun it.
	Already bool             `json:"already"`
	Resumed bool             `json:"resumed"`
	Disks   []ReplicatedDisk `json:"disks"`
	// BytesMoved is what went over there.
	BytesMoved int64 `json:"bytes_moved"`
	TookMS     int64 `json:"took_ms"`
	// Deleted are the snapshots that were to be deleted when they had been read, or replaced as bases.
	Deleted []string `json:"deleted"`
}

// ReplicatedDisk is one disk of it.
type ReplicatedDisk struct {
	Target string `json:"target"`
	Size   int64  `json:"size"`
	// How is full, changed-extents or compare.
	How        methods.How `json:"how"`
	BytesRead  int64       `json:"bytes_read"`
	BytesMoved int64       `json:"bytes_moved"`
}

// HowFull: there was nothing over there to begin with.
const HowFull methods.How = "full"

// Replicate brings a snapshot to another place, where it is complete when it returns. As long as it lasts the snapshot stays,
// and what it is an increment of. After an error a second call goes on where this one was.
func (o *Orchestrator) Replicate(ctx context.Context, opts ReplicateOptions) (_ *Replicated, err error) {
	r, err := o.beginReplication(ctx, opts)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	err = r.run(ctx)
	// A context that has ended ends nothing here: what was told to stop tidies up.
	if errEnd := r.end(context.WithoutCancel(ctx), err == nil); err != nil || errEnd != nil {
		return nil, errors.Join(err, errEnd)
	}
	r.result.TookMS = time.Since(start).Milliseconds()
	return &r.result, nil
}

// replicating is one Replicate at work.
type replicating struct {
	*operation
	opts     ReplicateOptions
	manifest replica.Manifest
	refs     []methods.Ref
	// since are the same disks of the snapshot that it is an increment of, by target, as far as it is here.
	since map[string]methods.Ref
	// differing is what has changed since, by target, where the storage knows.
	differing map[string][]methods.Extent
	disks     map[string]methods.Disk
	holds     []*hold.Hold
	result    Replicated
}

func (o *Orchestrator) beginReplication(ctx context.Context, opts ReplicateOptions) (_ *replicating, err error) {
	ctx, op, err := o.begin(ctx, opts.Domain)
	if err != nil {
		return nil, err
	}
	r := &replicating{
		operation: op, opts: opts, since: map[string]methods.Ref{}, differing: map[string][]methods.Extent{}, disks: map[string]methods.Disk{},
	}
	defer func() {
		err = errors.Join(err, op.end())
		if err != nil {
			err = errors.Join(err, r.release())
		}
	}()
	if err := op.checkLinked(opts.Unlinked); err != nil {
		return nil, err
	}
	s, err := op.snapshot(opts.Snapshot)
	if err != nil {
		return nil, err
	}
	if err := r.find(ctx, s); err != nil {
		return nil, err
	}
	if err := r.chooseBase(ctx, s); err != nil {
		return nil, err
	}
	return r, r.hold(append(slices.Clone(r.refs), r.sinceRefs()...))
}

// checkLinked looks at all snapshots: some that wait to be deleted may go in the end.
func (op *operation) checkLinked(unlinked func() error) error {
	for i := range op.lineage.Snapshots {
		for _, ref := range op.refs(&op.lineage.Snapshots[i]) {
			m, err := op.Methods.Get(ref.Method, ref.Mode)
			if err == nil && methods.Linked(m) != nil && unlinked != nil {
				return unlinked()
			}
		}
	}
	return nil
}

// find reads what is recorded of the snapshot.
func (r *replicating) find(ctx context.Context, s *xmlspec.LineageSnapshot) error {
	if state := r.stateOf(s); state != StateAvailable {
		return refuse("", "snapshot %s is %s: %s", s.Name, state, s.Reason)
	}
	for _, ref := range r.refs0(s) {
		disk, err := r.present(ctx, ref.Disk.Target)
		if err != nil {
			return err
		}
		r.refs, r.disks[ref.Disk.Target] = append(r.refs, ref), disk
	}
	for _, target := range r.opts.Disks {
		if _, ok := r.disks[target]; !ok {
			return NotFoundf("snapshot %q has no disk %q", s.Name, target)
		}
	}
	descriptor, err := r.describe(ctx, s)
	if err != nil {
		return err
	}
	r.manifest = replica.Manifest{
		Key: replica.Key{Domain: r.desc.UUID, Snapshot: s.ID}, DomainName: r.desc.Name, Name: s.Name, Parent: s.Parent,
		Created: time.Unix(s.Created, 0).UTC(), Description: s.Description, Level: s.Level, Descriptor: descriptor,
	}
	r.result = Replicated{
		Domain: r.desc.Name, DomainUUID: r.desc.UUID, Name: s.Name, ID: s.ID, To: r.opts.To,
		Disks: []ReplicatedDisk{}, Deleted: []string{},
	}
	return nil
}

// refs0 are the disks that were asked for.
func (r *replicating) refs0(s *xmlspec.LineageSnapshot) []methods.Ref {
	return slices.DeleteFunc(r.operation.refs(s), func(ref methods.Ref) bool {
		return len(r.opts.Disks) > 0 && !slices.Contains(r.opts.Disks, ref.Disk.Target)
	})
}

// chooseBase finds the youngest replica over there, of those that are older and whose snapshot is here too if there are any.
// What has begun already keeps its base.
func (r *replicating) chooseBase(ctx context.Context, s *xmlspec.LineageSnapshot) error {
	there, err := r.opts.Place.List(ctx, r.desc.UUID)
	if err != nil {
		return err
	}
	var best *replica.Manifest
	for i := range there {
		switch m := &there[i]; {
		case m.Snapshot == s.ID && m.State == replica.Complete:
			return nil
		case m.Snapshot == s.ID && m.State == replica.Inbound && m.Base != "":
			r.manifest.Base = m.Base
			return r.increment(m.Base)
		case m.Snapshot == s.ID || m.State != replica.Complete || m.Created.After(r.manifest.Created):
		case best == nil || r.byID(m.Snapshot) != nil || r.byID(best.Snapshot) == nil:
			best = m
		}
	}
	if best == nil {
		return nil
	}
	r.manifest.Base = best.Snapshot
	return r.increment(best.Snapshot)
}

// increment finds the disks of the base that are here, and by a method that may know what has changed since.
func (r *replicating) increment(id string) error {
	s := r.byID(id)
	if s == nil || r.opts.Compare {
		return nil
	}
	if state := r.stateOf(s); state != StateAvailable && state != StatePendingDelete {
		return nil
	}
	for _, old := range r.operation.refs(s) {
		for _, now := range r.refs {
			m, err := r.Methods.Get(now.Method, now.Mode)
			if err == nil && r.comparable(m, old, now) {
				r.since[now.Disk.Target] = old
			}
		}
	}
	return nil
}

// comparable says that both are of one disk by one method, which may know what differs.
func (r *replicating) comparable(m methods.Method, old, now methods.Ref) bool {
	return r.alike(old, now) && old.Size == now.Size && old.Disk.Serial == now.Disk.Serial &&
		(m.Traits().MovesSource || old.Origin == now.Origin)
}

func (r *replicating) sinceRefs() []methods.Ref {
	var refs []methods.Ref
	for _, ref := range r.since {
		refs = append(refs, ref)
	}
	return refs
}

func (r *replicating) hold(refs []methods.Ref) error {
	for _, ref := range refs {
		h, err := r.operation.holds.Take(r.desc.UUID, hold.Note{
			Snapshot: ref.Snapshot, Disk: ref.Disk.Target, PID: os.Getpid(), For: "snapshot-replicate", Since: r.Now().UTC(),
		})
		if err != nil {
			return err
		}
		r.holds = append(r.holds, h)
	}
	return nil
}

func (r *replicating) release() error {
	var errs []error
	for _, h := range r.holds {
		errs = append(errs, h.Release())
	}
	r.holds = nil
	return errors.Join(errs...)
}

// end lets go of the snapshots, remembers what the next increment begins with, and deletes what waited for that.
func (r *replicating) end(ctx context.Context, done bool) error {
	if err := r.release(); err != nil {
		return err
	}
	var err error
	r.result.Deleted, err = r.settle(ctx, func(op *operation) error {
		if !done || !op.beginsNext(r.opts.To, r.manifest.Snapshot) {
			return nil
		}
		return op.bases.Set(op.desc.UUID, base.Base{To: r.opts.To, Snapshot: r.manifest.Snapshot, Since: op.Now().UTC()})
	})
	return err
}

// settleTimeout is how long the end of what was read waits for another operation on the domain.
const settleTimeout = 30 * time.Second

// settle waits for the domain, does something with its lock held, and deletes what nobody needs any more. Where somebody is at
// work on the domain for long, or it cannot be reached any more, that is left to the next verb that deletes, and to recover.
func (op *operation) settle(ctx context.Context, first func(*operation) error) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for {
		locked, again, err := op.begin(ctx, op.desc.UUID)
		if errors.Is(err, ErrBusy) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return []string{}, nil
		}
		d := again.deletion()
		err = first(again)
		if err == nil {
			err = d.retryPending(context.WithoutCancel(locked))
		}
		return d.result.Deleted, errors.Join(err, again.end())
	}
}

// ForgetReplicas says that no replica goes to a place any more, so that no snapshot is kept for the next one.
func (o *Orchestrator) ForgetReplicas(ctx context.Context, domain, to string) (_ *DeleteResult, err error) {
	ctx, op, err := o.begin(ctx, domain)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	known, err := op.bases.Forget(op.desc.UUID, to)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, NotFoundf("no snapshot of domain %s is kept for replicas at %q", op.desc.Name, to)
	}
	d := op.deletion()
	return &d.result, d.retryPending(ctx)
}

// beginsNext says that the next increment to a place begins with the snapshot: it is here still, and none that is younger was
// replicated there.
func (op *operation) beginsNext(to, id string) bool {
	s := op.byID(id)
	for _, b := range op.increments {
		if last := op.byID(b.Snapshot); s != nil && b.To == to && last != nil && last.Created > s.Created {
			return false
		}
	}
	return s != nil
}

// findBases looks again for which snapshots the next increments begin with.
func (op *operation) findBases() (err error) {
	op.increments, err = op.bases.Get(op.desc.UUID)
	return err
}

// incrementsOf are those that begin with the snapshot.
func (op *operation) incrementsOf(id string) []string {
	by := []string{}
	for _, b := range op.increments {
		if b.Snapshot == id {
			by = append(by, b.String())
		}
	}
	return by
}
