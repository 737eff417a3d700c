package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/domsnap/domsnap/orchestrator/shelf"
	"github.com/domsnap/domsnap/xmlspec"
)

// shelve keeps the host's copy of the lineage, and of where the disks are now.
func (op *operation) shelve(ctx context.Context) error {
	desc, err := op.domain.Describe(ctx)
	if err != nil {
		return err
	}
	text, err := op.lineage.Marshal()
	if err != nil {
		return err
	}
	c := shelf.Copy{Lineage: text}
	for _, d := range desc.Disks {
		c.Sources = append(c.Sources, shelf.Source{Target: d.Target, Source: toSource(d.Source).String(), Format: d.Format})
	}
	return op.shelf.Put(op.desc.UUID, c)
}

// shelved is the host's copy, and the lineage in it; nil when there is none.
func (op *operation) shelved() (*shelf.Copy, *xmlspec.Lineage, error) {
	c, err := op.shelf.Get(op.desc.UUID)
	if err != nil || c == nil {
		return nil, nil, err
	}
	l, err := xmlspec.ParseLineage(c.Lineage)
	return c, l, err
}

// checkLatest refuses to go on from a lineage that is not the latest: what the host's copy says besides would be lost. A
// copy that cannot be read has nothing to lose.
func (op *operation) checkLatest() error {
	_, l, err := op.shelved()
	if err != nil || l == nil || l.Rev <= op.lineage.Rev {
		return nil
	}
	return refuse("look with: domsnap check "+op.desc.Name+", and bring it back with: domsnap check --repair "+op.desc.Name,
		"the metadata of domain %s is older than the copy of it on this host: it was defined without, or from a backup", op.desc.Name)
}

// findCopy compares the lineage with the host's copy. Where libvirt's is the older one, somebody has defined the domain
// without it, or from a backup: the rest is looked at by the copy then.
func (i *inspection) findCopy() {
	fix := "domsnap check --repair " + i.desc.Name
	c, l, err := i.shelved()
	switch {
	case err != nil:
		i.add(Finding{Kind: FoundCopy, What: err.Error(), Fix: fix})
		return
	case c == nil:
		return
	case l.Rev > i.lineage.Rev:
		i.add(Finding{Kind: FoundLineage, Fix: fix, What: fmt.Sprintf(
			"the domain's metadata is older than the copy of it on this host: it names %d snapshots, the copy %d",
			len(i.lineage.Snapshots), len(l.Snapshots))})
		i.lineage, i.restored = l, true
	case l.Rev < i.lineage.Rev:
		i.add(Finding{Kind: FoundCopy, What: "the copy of the domain's metadata on this host is older than that", Fix: fix})
	}
	i.copy = c
}

// findMisplaced looks for a disk that is on the image of a snapshot, and says where it was when the lineage was written.
func (i *inspection) findMisplaced() {
	for n := range i.lineage.Snapshots {
		s := &i.lineage.Snapshots[n]
		for _, ref := range i.refs(s) {
			d, ok := i.desc.Disk(ref.Disk.Target)
			if !ok || ref.Active == "" || toSource(d.Source).String() != ref.Name {
				continue
			}
			f := Finding{Kind: FoundMisplaced, Snapshot: s.Name, Fix: "find the disk's present image, and point the domain at it: virsh edit " + i.desc.Name,
				What: fmt.Sprintf("%s is on %s, the image of snapshot %s, which would not survive a start", d.Target, ref.Name, s.Name)}
			if was, ok := i.was(d.Target); ok && was.Source != ref.Name {
				f.What += "; it was on " + was.Source
				f.Fix = "domsnap check --repair " + i.desc.Name
				i.misplaced = append(i.misplaced, was)
			}
			i.add(f)
		}
	}
}

// was is where the disk was when the lineage was written.
func (i *inspection) was(target string) (shelf.Source, bool) {
	if i.copy == nil {
		return shelf.Source{}, false
	}
	return i.copy.Source(target)
}

// Repair does what Check finds that can be done without a loss: it writes the lineage again from the host's copy, or the
// copy from the lineage, and puts disks back that a definition has put onto the image of a snapshot. Then it checks anew.
// Unfinished work comes first: that is ErrUnfinished.
func (o *Orchestrator) Repair(ctx context.Context, domain string) (*CheckResult, error) {
	names, err := o.toCheck(ctx, domain)
	if err != nil {
		return nil, err
	}
	var did []string
	for _, name := range names {
		more, err := o.repairOne(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("repair %s: %w", name, err)
		}
		did = append(did, more...)
	}
	result, err := o.Check(ctx, domain)
	if err != nil {
		return nil, err
	}
	result.Repaired = nonNil(did)
	return result, nil
}

func (o *Orchestrator) repairOne(ctx context.Context, name string) (did []string, err error) {
	op, err := o.take(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	if intent, err := o.pending(op.desc.UUID); err != nil || intent != nil {
		return nil, op.unfinished(err)
	}
	i := &inspection{operation: op}
	i.findCopy()
	i.findMisplaced()
	if len(i.misplaced) > 0 && i.desc.Active() {
		return nil, refuse("shut it down first", "domain %s writes to the image of a snapshot", i.desc.Name)
	}
	for _, was := range i.misplaced {
		if err := op.domain.SetSource(ctx, was.Target, was.Source, was.Format); err != nil {
			return did, err
		}
		did = append(did, fmt.Sprintf("%s: disk %s is on %s again", i.desc.Name, was.Target, was.Source))
	}
	stale := slices.ContainsFunc(i.found, func(f Finding) bool { return f.Kind == FoundCopy || f.Kind == FoundLineage })
	if !stale {
		return did, nil
	}
	if err := op.commit(ctx); err != nil {
		return did, err
	}
	return append(did, i.desc.Name+": "+i.repairedLineage()), nil
}

func (i *inspection) repairedLineage() string {
	if i.restored {
		return fmt.Sprintf("the metadata names %d snapshots again", len(i.lineage.Snapshots))
	}
	return "the copy of the metadata is written again"
}
