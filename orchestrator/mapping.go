package orchestrator

import (
	"fmt"
	"slices"

	"github.com/domsnap/domsnap/xmlspec"
)

// Mapping says that a disk which was From in all snapshots until now is To by now.
type Mapping struct{ From, To string }

// rename has all snapshots know the disks by the targets that they have now. That is in the lineage with its next commit.
func (r *reversion) rename() error {
	for _, m := range r.opts.Map {
		if err := r.checkMapping(m); err != nil {
			return err
		}
		for n := range r.lineage.Strayed {
			if p := &r.lineage.Strayed[n]; p.Target == m.From {
				p.Target = m.To
			}
		}
		for _, s := range r.lineage.Snapshots {
			for n := range s.Disks {
				if s.Disks[n].Target == m.From {
					s.Disks[n].Target = m.To
				}
			}
		}
	}
	return nil
}

func (r *reversion) checkMapping(m Mapping) error {
	if _, there := r.desc.Disk(m.From); there {
		return refuse("", "disk %s is still there: it is not %s", m.From, m.To)
	}
	if _, there := r.desc.Disk(m.To); !there {
		return NotFoundf("domain %s has no disk %q", r.desc.Name, m.To)
	}
	has := func(target string) func(xmlspec.LineageDisk) bool {
		return func(d xmlspec.LineageDisk) bool { return d.Target == target }
	}
	for _, s := range r.lineage.Snapshots {
		if slices.ContainsFunc(s.Disks, has(m.To)) {
			return refuse("", "snapshot %q has a disk %s of its own", s.Name, m.To)
		}
	}
	if !slices.ContainsFunc(r.to.Disks, has(m.From)) {
		return NotFoundf("snapshot %q has no disk %q", r.to.Name, m.From)
	}
	return nil
}

func (m Mapping) String() string { return fmt.Sprintf("%s=%s", m.From, m.To) }
