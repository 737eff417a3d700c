package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/orchestrator/machine"
	"github.com/domsnap/domsnap/orchestrator/shelf"
	"github.com/domsnap/domsnap/xmlspec"
)

// inspection is the look at one domain.
type inspection struct {
	*operation
	found     []Finding
	unchecked []string
	// copy is the host's, nil for none; restored says that the lineage is from there.
	copy     *shelf.Copy
	restored bool
	// off are the images that misplaced disks are on; movable is where disks were, and can go back to.
	// inUse says that one of those is written to now.
	off     []string
	movable []shelf.Source
	orphans []orphan
	inUse   bool
}

// inspect looks without the lock, so that it is in nobody's way, and at what it finds again with it: it may have been the
// work of another operation.
func (o *Orchestrator) inspect(ctx context.Context, name string) (*inspection, error) {
	op, err := o.look(ctx, name)
	if err != nil {
		return nil, o.orGone(name, err)
	}
	i, err := o.inspectIn(ctx, op)
	if err == nil && len(i.found) == 0 {
		return i, nil
	}
	if ctx, op, err = o.take(ctx, name); err != nil {
		return nil, o.orGone(name, err)
	}
	i, err = o.inspectIn(ctx, op)
	return i, errors.Join(err, op.end())
}

func (o *Orchestrator) inspectIn(ctx context.Context, op *operation) (*inspection, error) {
	ctx = command.WithMemory(ctx)
	i := &inspection{operation: op}
	intent := i.findUnfinished()
	i.findCopy()
	if intent == nil {
		i.findFrozen(ctx)
		if err := i.findMisplaced(ctx); err != nil {
			return nil, err
		}
	}
	for _, id := range i.expired() {
		i.add(Finding{Kind: FoundExpired, Snapshot: i.byID(id).Name, What: "the lease of " + i.byID(id).Name + " is over",
			Fix: "domsnap recover " + i.desc.Name})
	}
	if intent == nil {
		i.findNeedless(ctx)
	}
	i.findWaiting()
	for n := range i.lineage.Snapshots {
		i.findLost(ctx, &i.lineage.Snapshots[n])
	}
	i.findOnDisks(ctx, intent)
	i.findMachines(intent)
	i.findForeign(ctx)
	return i, nil
}

func (i *inspection) add(f Finding) {
	f.Domain = i.desc.Name
	i.found = append(i.found, f)
}

// findUnfinished gives what was begun, as far as it can be read.
func (i *inspection) findUnfinished() *journal.Intent {
	intent, err := i.pending(i.desc.UUID)
	switch {
	case err != nil:
		i.add(Finding{Kind: FoundUnfinished, What: err.Error(), Fix: hintOf(err)})
		return &journal.Intent{}
	case intent != nil:
		i.add(Finding{Kind: FoundUnfinished, What: inFlight(intent) + " was begun and not ended", Fix: "domsnap recover " + i.desc.Name})
	}
	return intent
}

// findFrozen asks the agent, if there is one that answers.
func (i *inspection) findFrozen(ctx context.Context) {
	if i.desc.State != Running || i.domain.Ping(ctx) != nil {
		return
	}
	if frozen, err := i.domain.Frozen(ctx); err == nil && frozen {
		i.add(Finding{Kind: FoundFrozen, What: "the guest's file systems are frozen, and domsnap is not at work", Fix: "virsh domfsthaw " + i.desc.Name})
	}
}

// findNeedless finds what was to be deleted when its last reader had gone, and that one was killed.
func (i *inspection) findNeedless(ctx context.Context) {
	for _, id := range i.needless(ctx) {
		s := i.byID(id)
		i.add(Finding{Kind: FoundNeedless, Snapshot: s.Name, What: s.Name + " is to be deleted, and nobody needs it any more",
			Fix: "domsnap recover " + i.desc.Name})
	}
}

// findLost asks the storages for each disk of a snapshot.
func (i *inspection) findLost(ctx context.Context, s *xmlspec.LineageSnapshot) {
	for _, ref := range i.refs(s) {
		if slices.Contains(i.off, ref.Name) {
			continue // a misplaced disk has said so
		}
		f := Finding{Snapshot: s.Name, Fix: fmt.Sprintf("domsnap snapshot-delete %s %s: nobody can revert to it any more", i.desc.Name, s.Name)}
		err := i.statOf(ctx, ref)
		switch {
		case err == nil, errors.Is(err, methods.ErrUnsupported):
			continue
		case errors.Is(err, methods.ErrNotFound):
			f.Kind, f.What = FoundMissing, fmt.Sprintf("%s by %s: there is no %s", ref.Disk.Target, ref.Method, ref.Name)
		case errors.Is(err, methods.ErrBroken):
			f.Kind, f.What = FoundBroken, fmt.Sprintf("%s by %s: %v", ref.Disk.Target, ref.Method, err)
		default:
			f.Kind, f.What, f.Fix = FoundUnreadable, fmt.Sprintf("%s by %s: %v", ref.Disk.Target, ref.Method, err), hintOf(err)
		}
		i.add(f)
	}
}

func (i *inspection) statOf(ctx context.Context, ref methods.Ref) error {
	m, err := i.Methods.Get(ref.Method, ref.Mode)
	if err != nil {
		// That it is unsupported would say that the method has no such verb.
		return refuse("install what has the method", "%s", err)
	}
	_, err = m.Stat(ctx, ref)
	return err
}

// findOnDisks asks, disk by disk, all methods that could have made a snapshot of it.
func (i *inspection) findOnDisks(ctx context.Context, intent *journal.Intent) {
	known := i.known(ctx, intent)
	for _, d := range i.desc.Disks {
		if leftOut(d) != "" {
			continue
		}
		disk, err := i.disk(ctx, d)
		if err != nil {
			i.add(Finding{Kind: FoundUnreadable, What: err.Error(), Fix: hintOf(err)})
			continue
		}
		for _, m := range i.Methods {
			if methods.ClaimDisk(ctx, m, disk).Rank == 0 && !i.recorded(m, disk.Target) {
				continue
			}
			i.findOrphans(ctx, m, disk, known)
			i.findTrouble(ctx, m, disk)
		}
	}
}

// findMachines compares what the host keeps besides the disks with what is recorded.
func (i *inspection) findMachines(intent *journal.Intent) {
	kept, err := i.machines.Snapshots(i.desc.UUID)
	if err != nil {
		i.add(Finding{Kind: FoundUnreadable, What: err.Error()})
	}
	for _, s := range i.lineage.Snapshots {
		parts, err := i.machines.Parts(i.keptOf(s.ID))
		if err != nil && !errors.Is(err, machine.ErrNotKept) {
			i.add(Finding{Kind: FoundUnreadable, Snapshot: s.Name, What: err.Error()})
		} else if s.Machine != "" && strings.Join(parts, " ") != s.Machine {
			i.add(Finding{Kind: FoundMissing, Snapshot: s.Name, What: fmt.Sprintf("%s: there is no %s", s.Machine, i.machines.Path(i.keptOf(s.ID))),
				Fix: "revert to it without, each disk with --disk"})
		}
	}
	for _, id := range kept {
		inWork := intent != nil && (intent.Snapshot == id || intent.Safety == id)
		if i.byID(id) == nil && !inWork {
			dir := i.machines.Path(i.keptOf(id))
			i.add(Finding{Kind: FoundOrphan, What: dir + " belongs to no snapshot", Fix: "if nobody needs it, remove it"})
		}
	}
}

// findForeign compares what libvirt shows with what it is to show.
func (i *inspection) findForeign(ctx context.Context) {
	foreign, err := i.domain.Shown(ctx)
	if err != nil {
		i.add(Finding{Kind: FoundUnreadable, What: err.Error()})
		return
	}
	for _, s := range i.toShow() {
		n := slices.Index(foreign, s.Name)
		if n >= 0 {
			foreign = slices.Delete(foreign, n, n+1)
			continue
		}
		i.add(Finding{Kind: FoundMirror, Snapshot: s.Name, What: "libvirt does not show " + s.Name + " any more; the snapshot is there all the same",
			Fix: "domsnap snapshot-mirror " + i.desc.Name + "; to delete a snapshot: domsnap snapshot-delete, not virsh"})
	}
	if len(foreign) == 0 {
		return
	}
	i.add(Finding{Kind: FoundForeign, What: fmt.Sprintf("libvirt has snapshots of its own: %s; they block live migration, "+
		"and to revert to one may undo what domsnap's are built on", strings.Join(foreign, ", ")),
		Fix: "find out who has made them; if nobody needs them, delete them: virsh snapshot-delete " + i.desc.Name})
}

// findTrouble leaves what cannot be looked at to the others, who say so.
func (i *inspection) findTrouble(ctx context.Context, m methods.Method, disk methods.Disk) {
	warnings, _ := methods.Warn(ctx, m, disk)
	for _, w := range warnings {
		i.add(Finding{Kind: FoundWarning, What: fmt.Sprintf("%s by %s: %s", disk.Target, m.Traits().Name, w.What), Fix: w.Fix})
	}
}

// findOrphans compares what the storage has of a disk with what is known.
func (i *inspection) findOrphans(ctx context.Context, m methods.Method, disk methods.Disk, known string) {
	by := m.Traits().Name
	names, err := methods.List(ctx, m, disk)
	switch {
	case errors.Is(err, methods.ErrUnsupported):
		i.unchecked = append(i.unchecked, fmt.Sprintf("%s, disk %s by %s: %v", i.desc.Name, disk.Target, by, err))
	case err != nil:
		i.add(Finding{Kind: FoundUnreadable, What: fmt.Sprintf("%s by %s: %v", disk.Target, by, err), Fix: hintOf(err)})
	}
	for _, name := range names {
		if strings.Contains(known, name) {
			continue
		}
		fix := "find out who has made it; if nobody needs it, remove it by the storage's own tools"
		if id, ok := methods.SnapshotOf(name, disk.Target); ok && !m.Traits().MovesSource {
			i.orphans = append(i.orphans, orphan{m, disk, id})
			fix += "; to have it as a snapshot again: domsnap check --repair --adopt " + id + " " + i.desc.Name
		}
		i.add(Finding{Kind: FoundOrphan, What: fmt.Sprintf("%s by %s: %s belongs to no snapshot", disk.Target, by, name), Fix: fix})
	}
}

// known is everything that has a name in the records, or is a disk or below one: methods use the names of what they have
// made again for what comes after it.
func (i *inspection) known(ctx context.Context, intent *journal.Intent) string {
	refs := i.allRefs()
	if intent != nil {
		refs = slices.Concat(refs, intent.Refs, intent.Kept, intent.Renamed)
	}
	var known []string
	for _, ref := range refs {
		known = append(known, ref.Name, ref.Active)
		if name, err := methods.ObjectName(ref.Snapshot, ref.Disk.Target); err == nil {
			known = append(known, name)
		}
	}
	for _, source := range i.sources(ctx, i.desc.Disks) {
		known = append(known, source)
	}
	for _, d := range i.desc.Disks {
		known = append(known, d.Chain...)
	}
	return strings.Join(known, "\n")
}

// recorded says that a snapshot has the disk by the method.
func (i *inspection) recorded(m methods.Method, target string) bool {
	return slices.ContainsFunc(i.allRefs(), func(ref methods.Ref) bool {
		by, err := i.Methods.Get(ref.Method, ref.Mode)
		return err == nil && by == m && ref.Disk.Target == target
	})
}
