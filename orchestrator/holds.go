package orchestrator

import (
	"context"
	"fmt"
	"slices"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/hold"
)

// findHolds looks again for who reads snapshots. With the lock held nobody comes to read meanwhile.
func (op *operation) findHolds() (err error) {
	op.held, err = op.holds.Living(op.desc.UUID)
	return err
}

// holdsOf are those who read the snapshot.
func (op *operation) holdsOf(id string) []hold.Note {
	of := []hold.Note{}
	for _, n := range op.held {
		if n.Snapshot == id {
			of = append(of, n)
		}
	}
	return of
}

// readers says, for people, who reads what the drop of a disk's snapshot takes away or changes.
func (op *operation) readers(ref methods.Ref, plan methods.DropPlan) []string {
	disturbed := slices.Clone(plan.Disturbs)
	for _, r := range plan.Renamed {
		disturbed = append(disturbed, r.Snapshot)
	}
	var by []string
	for _, n := range op.held {
		switch {
		case n.Disk != "" && n.Disk != ref.Disk.Target:
		case n.Snapshot == ref.Snapshot:
			by = append(by, n.String())
		case slices.Contains(disturbed, n.Snapshot):
			by = append(by, fmt.Sprintf("%s, which reads snapshot %s through it", n, op.called(n.Snapshot)))
		}
	}
	return by
}

// readNow says of a disk that something stands in the way of who reads snapshots of it: that may be it.
func (op *operation) readNow(target string) string {
	for _, n := range op.held {
		if n.Disk == "" || n.Disk == target {
			return fmt.Sprintf(" (a snapshot of it is read by %s)", n)
		}
	}
	return ""
}

// called is the name of a snapshot, or its id where it has none any more.
func (op *operation) called(id string) string {
	if name := op.nameOf(id); name != nil {
		return *name
	}
	return id
}

// needless are the ids of the snapshots that wait to be deleted and that nobody needs any more, as far as that can be told.
func (op *operation) needless(ctx context.Context) []string {
	waiting := op.lineage.InState(StatePendingDelete)
	if len(waiting) == 0 || op.checkPlaced(ctx) != nil {
		return nil
	}
	var ids []string
	for _, id := range waiting {
		if drops, err := op.planDrops(ctx, op.byID(id)); err == nil && len(drops.neededBy()) == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}
