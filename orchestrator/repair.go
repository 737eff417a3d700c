package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Repair does what Check finds that can be done without a loss: it writes the lineage again from the host's copy, or the
// copy from the lineage, and puts disks back that a definition has put onto the image of a snapshot. Then it checks anew.
// Unfinished work comes first: that is ErrUnfinished.
//
// It records a snapshot that a storage has and nobody has recorded only where it is told which: that of the id adopt.
func (o *Orchestrator) Repair(ctx context.Context, domain, adopt string) (*CheckResult, error) {
	if adopt != "" && domain == "" {
		return nil, &Problem{Kind: ErrUsage, Err: errors.New("whose snapshot is to be adopted: name the domain")}
	}
	names, err := o.toCheck(ctx, domain)
	if err != nil {
		return nil, err
	}
	var did []string
	var errs []error
	for _, name := range names {
		more, err := o.repairOne(ctx, name, adopt)
		if err != nil {
			// One domain that cannot be helped now is no reason to leave the others.
			errs = append(errs, fmt.Errorf("repair %s: %w", name, err))
		}
		did = append(did, more...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	result, err := o.Check(ctx, domain)
	if err != nil {
		return nil, err
	}
	result.Repaired = nonNil(did)
	return result, nil
}

func (o *Orchestrator) repairOne(ctx context.Context, name, adopt string) (did []string, err error) {
	ctx, op, err := o.take(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	if intent, err := o.pending(op.desc.UUID); err != nil || intent != nil {
		return nil, op.unfinished(err)
	}
	i := &inspection{operation: op}
	i.findCopy()
	if err := i.findMisplaced(ctx); err != nil {
		return nil, err
	}
	if did, err = i.moveBack(ctx); err != nil {
		return did, err
	}
	more, err := i.repairRecords(ctx, adopt)
	return append(did, more...), err
}

// repairRecords writes the lineage, and with it the host's copy, where one of them is behind or a snapshot is adopted.
func (i *inspection) repairRecords(ctx context.Context, adopt string) (did []string, err error) {
	if slices.ContainsFunc(i.found, func(f Finding) bool { return f.Kind == FoundCopy || f.Kind == FoundLineage }) {
		did = append(did, i.desc.Name+": "+i.repairedLineage())
	}
	if adopt != "" {
		i.findOnDisks(ctx, nil)
		adopted, err := i.adopt(ctx, adopt)
		if err != nil {
			return nil, err
		}
		did = append(did, adopted...)
	}
	if len(did) == 0 {
		return nil, nil
	}
	return did, i.commit(ctx)
}

// moveBack points the disks at where they were.
func (i *inspection) moveBack(ctx context.Context) (did []string, err error) {
	if i.inUse {
		return nil, refuse("shut it down first", "domain %s writes to the image of a snapshot", i.desc.Name)
	}
	for _, was := range i.movable {
		if err := i.domain.SetSource(ctx, was.Target, was.Source, was.Format); err != nil {
			return did, err
		}
		did = append(did, fmt.Sprintf("%s: disk %s is on %s again", i.desc.Name, was.Target, was.Source))
	}
	return did, nil
}

func (i *inspection) repairedLineage() string {
	if i.restored {
		return fmt.Sprintf("the metadata names %d snapshots again", len(i.lineage.Snapshots))
	}
	return "the copy of the metadata is written again"
}
