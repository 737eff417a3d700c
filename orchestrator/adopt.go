package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/machine"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/xmlspec"
)

// orphan is what a storage has of a disk for a snapshot that is not recorded.
type orphan struct {
	method methods.Method
	disk   methods.Disk
	id     string
}

// noteOrphan remembers what may be adopted.
func (i *inspection) noteOrphan(m methods.Method, disk methods.Disk, object string) {
	if id, ok := methods.SnapshotOf(object, disk.Target); ok {
		i.orphans = append(i.orphans, orphan{m, disk, id})
	}
}

// adopt records a snapshot that the storages have. When it was taken, and of what, nobody knows any more, so that it has
// no parent, counts as taken now, and is as good as one after pulling the plug.
func (i *inspection) adopt(ctx context.Context, id string) (did []string, err error) {
	s := xmlspec.LineageSnapshot{
		ID: id, Name: "adopted-" + id, Created: i.Now().Unix(), Level: string(quiesce.Crash),
		Description: "found by check; when it was taken is not known",
	}
	for _, o := range i.orphans {
		if o.id != id {
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
	parts, err := i.machines.Parts(i.keptOf(id))
	if err != nil && !errors.Is(err, machine.ErrNotKept) {
		return nil, err
	}
	s.Machine = strings.Join(parts, " ")
	i.lineage.Snapshots = append(i.lineage.Snapshots, s)
	return did, nil
}
