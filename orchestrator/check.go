package orchestrator

import (
	"context"
	"errors"
	"slices"
)

// FindingKind says what is wrong.
type FindingKind string

// What can be wrong with a domain.
const (
	// FoundUnfinished: a verb was killed, and recover is to go on.
	FoundUnfinished FindingKind = "unfinished"
	// FoundMissing: a snapshot is recorded and the storage does not have it.
	FoundMissing FindingKind = "missing"
	// FoundBroken: the storage has it and its content is lost.
	FoundBroken FindingKind = "broken"
	// FoundOrphan: the storage has something of a snapshot that is not recorded.
	FoundOrphan FindingKind = "orphan"
	// FoundFrozen: the guest's file systems are frozen, and nobody is at work.
	FoundFrozen FindingKind = "frozen"
	// FoundExpired: a temporary snapshot is there, and its lease is over.
	FoundExpired FindingKind = "expired"
	// FoundNeedless: a snapshot waits to be deleted, and nobody needs it any more.
	FoundNeedless FindingKind = "needless"
	// FoundLineage: libvirt has lost what the host's copy of the lineage still has.
	FoundLineage FindingKind = "lineage"
	// FoundCopy: the host's copy of the lineage is behind, or damaged.
	FoundCopy FindingKind = "copy"
	// FoundMisplaced: a disk is on the image of a snapshot, which the next start would change.
	FoundMisplaced FindingKind = "misplaced"
	// FoundForeign: libvirt has snapshots of its own, which do harm.
	FoundForeign FindingKind = "foreign"
	// FoundMirror: libvirt does not show what it was told to.
	FoundMirror FindingKind = "mirror"
	// FoundWarning: something stops working when nobody does anything.
	FoundWarning FindingKind = "warning"
	// FoundWaiting: a revert was asked for at the shutdown, the domain is off, and it was not done.
	FoundWaiting FindingKind = "waiting"
	// FoundUnreadable: it could not be looked at.
	FoundUnreadable FindingKind = "unreadable"
)

// Finding is something that is not as it should be.
type Finding struct {
	Kind   FindingKind `json:"kind"`
	Domain string      `json:"domain"`
	// Snapshot is the name of the one concerned, if it is one.
	Snapshot string `json:"snapshot,omitempty"`
	What     string `json:"what"`
	// Fix is what to do, for people.
	Fix string `json:"fix"`
}

// CheckResult is what Check found.
type CheckResult struct {
	OK       bool      `json:"ok"`
	Findings []Finding `json:"findings"`
	// Unchecked says what could not be looked at now, or never: where nobody can find what belongs to no snapshot.
	Unchecked []string `json:"unchecked"`
	// Repaired is what Repair did.
	Repaired []string `json:"repaired,omitempty"`
}

// Check compares the records of one domain, or of all when the name is empty, with the storages. It changes nothing. Of all
// domains one that cannot be looked at is a finding, and no error.
func (o *Orchestrator) Check(ctx context.Context, domain string) (*CheckResult, error) {
	names, err := o.toCheck(ctx, domain)
	if err != nil {
		return nil, err
	}
	result := &CheckResult{Findings: []Finding{}, Unchecked: []string{}}
	for _, name := range names {
		i, err := o.inspect(ctx, name)
		switch {
		case err == nil:
		case domain != "":
			return nil, err
		case errors.Is(err, ErrBusy):
			i = &inspection{unchecked: []string{name + ": " + err.Error()}}
		case errors.Is(err, ErrNotFound) && !errors.Is(err, ErrUnfinished):
			continue // it was undefined meanwhile
		default:
			i = &inspection{found: []Finding{{Kind: FoundUnreadable, Domain: name, What: err.Error(), Fix: hintOf(err)}}}
		}
		result.Findings = append(result.Findings, i.found...)
		result.Unchecked = append(result.Unchecked, i.unchecked...)
	}
	result.OK = len(result.Findings) == 0
	return result, nil
}

// toCheck is the domain, or all that there are when the name is empty, and those that are gone and have left something.
func (o *Orchestrator) toCheck(ctx context.Context, domain string) ([]string, error) {
	if domain != "" {
		return []string{domain}, nil
	}
	all, err := o.Hypervisor.Domains(ctx)
	if err != nil {
		return nil, err
	}
	unfinished, err := o.journal.Domains()
	if err != nil {
		return nil, err
	}
	for _, uuid := range unfinished {
		if !slices.Contains(all, uuid) {
			all = append(all, uuid)
		}
	}
	return all, nil
}

func hintOf(err error) string {
	var p *Problem
	if errors.As(err, &p) {
		return p.Hint
	}
	return ""
}
