package orchestrator

import (
	"context"

	"github.com/domsnap/domsnap/xmlspec"
)

// List is all snapshots of a domain, oldest first. It asks no storage.
func (o *Orchestrator) List(ctx context.Context, domain string) ([]*Snapshot, error) {
	op, err := o.look(ctx, domain)
	if err != nil {
		return nil, err
	}
	// What cannot be read of the journal hides no snapshot; whoever wants to change something is told.
	op.intent, _ = o.journal.Pending(op.desc.UUID)
	list := op.viewAll(ctx)
	if s := op.inCreation(); s != nil {
		list = append(list, op.view(ctx, s))
	}
	return list, nil
}

// Info is one snapshot, with what its storages say of it.
func (o *Orchestrator) Info(ctx context.Context, domain, name string) (*Snapshot, error) {
	op, s, err := o.find(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	v := op.view(ctx, s)
	return v, op.withUsage(ctx, s, v)
}

// Current is the snapshot that the domain's present derives from. There being none is ErrNotFound.
func (o *Orchestrator) Current(ctx context.Context, domain string) (*Snapshot, error) {
	op, err := o.look(ctx, domain)
	if err != nil {
		return nil, err
	}
	s := op.byID(op.lineage.Current)
	if s == nil {
		return nil, NotFoundf("domain %s has no current snapshot", op.desc.Name)
	}
	return op.view(ctx, s), nil
}

// Parent is the snapshot that another one derives from. There being none is ErrNotFound.
func (o *Orchestrator) Parent(ctx context.Context, domain, name string) (*Snapshot, error) {
	op, s, err := o.find(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	parent := op.byID(s.Parent)
	if parent == nil {
		return nil, NotFoundf("snapshot %q has no parent", s.Name)
	}
	return op.view(ctx, parent), nil
}

func (o *Orchestrator) find(ctx context.Context, domain, name string) (*operation, *xmlspec.LineageSnapshot, error) {
	op, err := o.look(ctx, domain)
	if err != nil {
		return nil, nil, err
	}
	s, err := op.snapshot(name)
	return op, s, err
}

// Sources are the backup sources of a snapshot's disks, or of one of them.
func (o *Orchestrator) Sources(ctx context.Context, domain, name, target string) ([]SnapshotDisk, error) {
	op, s, err := o.find(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	all := op.view(ctx, s).Disks
	if target == "" {
		return all, nil
	}
	for _, d := range all {
		if d.Target == target {
			return []SnapshotDisk{d}, nil
		}
	}
	return nil, NotFoundf("snapshot %q has no disk %q", s.Name, target)
}
