package orchestrator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/xmlspec"
)

// The states of a snapshot, and what leads from one to another; nothing else does.
//
//	from            to              by
//	-               creating        create, once its journal is written
//	creating        available       create, once the lineage is written
//	creating        -               create that fails; recover
//	available       reverting       revert to it, once its journal is written
//	reverting       available       revert, or recover, once the lineage is written
//	available       pending-delete  delete, while others need it
//	pending-delete  deleting        delete of it, or of the last that needed it; export and replicate, when the
//	                                last reader has gone, or the next increment begins with another; recover
//	available       deleting        delete, once its journal is written
//	deleting        -               delete, or recover, once the lineage is written
//	available       broken          the storage, which has lost it
//	broken          deleting        delete
//
// A state that the journal says holds off every verb but recover.
const (
	StateCreating      = "creating"
	StateAvailable     = "available"
	StateReverting     = "reverting"
	StatePendingDelete = "pending-delete"
	StateDeleting      = "deleting"
	// StateBroken is found out by asking the storages, and is recorded nowhere.
	StateBroken = "broken"
)

// States are all states of a snapshot.
func States() []string {
	return []string{StateCreating, StateAvailable, StateReverting, StatePendingDelete, StateDeleting, StateBroken}
}

// CheckState fails when there is no such state of a snapshot.
func CheckState(state string) error {
	all := States()
	if slices.Contains(all, state) {
		return nil
	}
	return &Problem{Kind: ErrUsage, Err: fmt.Errorf("there is no state %q: choose one of %s", state, strings.Join(all, ", "))}
}

// stateOf is what the journal says of a snapshot, or else the lineage.
func (op *operation) stateOf(s *xmlspec.LineageSnapshot) string {
	if op.intent != nil && op.intent.Snapshot == s.ID {
		switch op.intent.Verb {
		case journal.Revert:
			return StateReverting
		case journal.Delete:
			return StateDeleting
		}
	}
	return orElse(s.State, StateAvailable)
}

// inCreation is the snapshot that is being created, as far as it is known; nil for none.
func (op *operation) inCreation() *xmlspec.LineageSnapshot {
	i := op.intent
	if i == nil || i.Verb != journal.Create || op.byID(i.Snapshot) != nil {
		return nil
	}
	s := &xmlspec.LineageSnapshot{
		ID: i.Snapshot, Name: i.Name, Parent: op.lineage.Current, Created: i.Started.Unix(), State: StateCreating,
	}
	for _, ref := range i.Refs {
		s.Disks = append(s.Disks, toRecord(ref))
	}
	return s
}
