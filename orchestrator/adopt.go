package orchestrator

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/xmlspec"
)

// orphan is what a storage has of a disk for a snapshot that is not recorded.
type orphan struct {
	method methods.Method
	disk   methods.Disk
	id     string
}

// mayAdopt refuses what would be half a snapshot, or a second one of its id or name.
func (i *inspection) mayAdopt(s *xmlspec.LineageSnapshot) error {
	if i.byID(s.ID) != nil {
		return refuse("", "a snapshot %s is recorded", s.ID)
	}
	if _, err := i.snapshot(s.Name); err == nil {
		return refuse("delete or forget that one", "a snapshot of the name %s is recorded", s.Name)
	}
	for _, f := range i.found {
		if f.Kind == FoundUnreadable {
			return refuse("see: domsnap check "+i.desc.Name, "not every storage can be looked at, and what is there may be half of the snapshot: %s", f.What)
		}
	}
	return nil
}

// adopt records a snapshot that the storages have. When it was taken, and of what, nobody knows any more, so that it has
// no parent, counts as taken now, and is as good as one after pulling the plug.
func (i *inspection) adopt(ctx context.Context, id string) (did []string, err error) {
	s := xmlspec.LineageSnapshot{
		ID: id, Name: "adopted-" + id, Created: i.Now().Unix(), Level: string(quiesce.Crash),
		Description: "found by check; when it was taken is not known",
	}
	if err := i.mayAdopt(&s); err != nil {
		return nil, err
	}
	for _, o := range i.orphans {
		if o.id != id || s.Has(o.disk.Target) {
			continue
		}
		ref, err := methods.Adopt(ctx, o.method, o.disk, id)
		if err != nil {
			return nil, fmt.Errorf("adopt disk %s of snapshot %s: %w", o.disk.Target, id, err)
		}
		s.Disks = append(s.Disks, toRecord(ref))
		did = append(did, fmt.Sprintf("%s: disk %s of snapshot %s is %s", i.desc.Name, ref.Disk.Target, s.Name, ref.Name))
	}
	if len(s.Disks) == 0 {
		return nil, NotFoundf("no storage has a snapshot %q of domain %s that is not recorded", id, i.desc.Name)
	}
	if s.Machine, err = i.keptParts(id); err != nil {
		return nil, err
	}
	i.lineage.Snapshots = append(i.lineage.Snapshots, s)
	return did, nil
}
