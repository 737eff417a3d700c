package xmlspec

import (
	"maps"
	"slices"
)

// Forget takes a snapshot out of the tree: its children become its parent's, and so does the present.
func (l *Lineage) Forget(id string) {
	i := slices.IndexFunc(l.Snapshots, func(s LineageSnapshot) bool { return s.ID == id })
	if i < 0 {
		return
	}
	parent := l.Snapshots[i].Parent
	l.Snapshots = slices.Delete(l.Snapshots, i, i+1)
	for j := range l.Snapshots {
		if l.Snapshots[j].Parent == id {
			l.Snapshots[j].Parent = parent
		}
	}
	if l.Current == id {
		l.Current = parent
	}
	for _, p := range slices.Clone(l.Strayed) {
		if p.Snapshot == id {
			l.Stray(p.Target, parent)
		}
	}
}

// Settle says that these disks now derive from a snapshot. Any other one that has been in a snapshot derives from what it
// did.
func (l *Lineage) Settle(id string, targets []string) {
	left := map[string]string{}
	for _, s := range l.Snapshots {
		for _, d := range s.Disks {
			if !slices.Contains(targets, d.Target) {
				left[d.Target] = l.position(d.Target)
			}
		}
	}
	l.Current, l.Strayed = id, nil
	for _, target := range slices.Sorted(maps.Keys(left)) {
		l.Stray(target, left[target])
	}
}

// position is the snapshot that a disk's present derives from.
func (l *Lineage) position(target string) string {
	for _, p := range l.Strayed {
		if p.Target == target {
			return p.Snapshot
		}
	}
	return l.Current
}

// Stray says that one disk now derives from a snapshot of its own.
func (l *Lineage) Stray(target, id string) {
	l.Strayed = slices.DeleteFunc(l.Strayed, func(p Position) bool { return p.Target == target })
	if id != l.Current && id != "" {
		l.Strayed = append(l.Strayed, Position{Target: target, Snapshot: id})
	}
}

// Replace puts another record in the place of a snapshot's disk.
func (l *Lineage) Replace(id string, disk LineageDisk) {
	for i := range l.Snapshots {
		if l.Snapshots[i].ID != id {
			continue
		}
		for j := range l.Snapshots[i].Disks {
			if l.Snapshots[i].Disks[j].Target == disk.Target {
				l.Snapshots[i].Disks[j] = disk
			}
		}
	}
}

// InState lists the ids of the snapshots in a state, oldest first.
func (l *Lineage) InState(state string) []string {
	var ids []string
	for _, s := range l.Snapshots {
		if s.State == state {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// Ancestors are the ids of a snapshot and of those that it derives from, up to the first.
func (l *Lineage) Ancestors(id string) []string {
	var ids []string
	// A parent comes before its children.
	for _, s := range slices.Backward(l.Snapshots) {
		if s.ID == id {
			ids, id = append(ids, id), s.Parent
		}
	}
	return ids
}
