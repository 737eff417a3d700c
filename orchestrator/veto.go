package orchestrator

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/orchestrator/shield"
	"github.com/domsnap/domsnap/xmlspec"
)

// journalOf is the journal below a state directory.
func journalOf(stateDir string) journal.Journal {
	return journal.Journal{Dir: stateDir + "/journal"}
}

// Veto says why a domain must not start: a revert of it was begun and its disks are not all reverted, or somebody has
// defined it without the overlay that has what its guest wrote last, or its journal cannot be read, so that nobody knows.
// It is ErrUnfinished; nil lets the domain start. It reads a file or a few, takes no lock and asks no hypervisor, since
// the hypervisor waits for the answer.
func Veto(stateDir string, d xmlspec.DomainID) error {
	intent, err := journalOf(stateDir).Pending(d.UUID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return veto("domain %s may be half-reverted, and nobody knows: run domsnap recover %s: %w", d.Name, d.Name, err)
	case intent.Verb == journal.Revert && !intent.Reverted && !intent.PowerOff:
		return veto("domain %s is half-reverted: run domsnap recover %s", d.Name, d.Name)
	default:
		return vetoWithout(stateDir, d, intent.Shield)
	}
}

// vetoWithout is for a start without overlays that have something.
func vetoWithout(stateDir string, d xmlspec.DomainID, overlays []shield.Overlay) error {
	for _, o := range missing(d, overlays) {
		written, err := shieldFolder(stateDir, d.UUID).Written(o)
		if err != nil {
			return veto("domain %s may start without what its guest wrote: run domsnap recover %s: %w", d.Name, d.Name, err)
		}
		if written {
			return veto("domain %s would start without what is in %s: run domsnap recover %s", d.Name, o.File, d.Name)
		}
	}
	return nil
}

// missing are the overlays that no disk of the domain is on.
func missing(d xmlspec.DomainID, overlays []shield.Overlay) []shield.Overlay {
	return slices.DeleteFunc(slices.Clone(overlays), func(o shield.Overlay) bool {
		return slices.Contains(d.Sources, xmlspec.DiskFile{File: o.File})
	})
}

// VetoRestore says why a domain must not go on with memory that was saved: what its disks had then may be in the overlays of
// a shield, of which libvirt knew nothing. Like Veto it reads one file.
func VetoRestore(stateDir string, d xmlspec.DomainID) error {
	intent, err := journalOf(stateDir).Pending(d.UUID)
	if err != nil {
		return nil
	}
	if len(missing(d, intent.Shield)) > 0 {
		return veto("domain %s was saved while its disks were on overlays: run domsnap recover %s", d.Name, d.Name)
	}
	return nil
}

func veto(format string, args ...any) error {
	return &Problem{Kind: ErrUnfinished, Err: fmt.Errorf(format, args...)}
}
