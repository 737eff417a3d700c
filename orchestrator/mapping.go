package orchestrator

import (
	"fmt"
	"slices"

	"github.com/domsnap/domsnap/methods"
)

// Mapping says that a disk which was From in the snapshot is To by now.
type Mapping struct{ From, To string }

func (m Mapping) String() string { return fmt.Sprintf("%s=%s", m.From, m.To) }

// targetNow is the target that a disk of the snapshot has by now.
func (r *reversion) targetNow(then string) string {
	for _, m := range r.opts.Map {
		if m.From == then {
			return m.To
		}
	}
	return then
}

// othersOf are the other refs of the same disk, under the target that it had and under the one that it has.
func (r *reversion) othersOf(ref methods.Ref, disk methods.Disk) []methods.Ref {
	others := r.others(ref)
	if disk.Target != ref.Disk.Target {
		ref.Disk.Target = disk.Target
		others = append(others, r.others(ref)...)
	}
	return others
}

// checkMap refuses what cannot be meant. Whether it is the same disk is for the method to find out.
func (r *reversion) checkMap() error {
	for n, m := range r.opts.Map {
		if slices.ContainsFunc(r.opts.Map[:n], func(o Mapping) bool { return o.From == m.From || o.To == m.To }) {
			return &Problem{Kind: ErrUsage, Err: fmt.Errorf("a disk is mapped twice: %s", m)}
		}
		if !r.to.Has(m.From) {
			return NotFoundf("snapshot %q has no disk %q", r.to.Name, m.From)
		}
		if _, there := r.desc.Disk(m.From); there {
			return refuse("", "disk %s is still there: it is not %s", m.From, m.To)
		}
		if _, there := r.desc.Disk(m.To); !there {
			return NotFoundf("domain %s has no disk %q", r.desc.Name, m.To)
		}
		if r.to.Has(m.To) {
			return refuse("", "snapshot %q has a disk %s of its own", r.to.Name, m.To)
		}
	}
	return nil
}
