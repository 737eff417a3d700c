package lvm

import (
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// poolLimit is how full a thin pool may be, in percent. At 100 every volume in it stops, at the worst for good.
const poolLimit = 95

// checkOrigin says why LVM would not snapshot the volume.
func checkOrigin(g group, v volume) error {
	switch {
	case v.mergingOrigin() || bool(v.Merging):
		return &methods.Blocked{
			What: fmt.Sprintf("a snapshot is being merged into %s/%s", g.name, v.Name),
			Hint: "wait until it is done: lvs -a " + g.name,
		}
	case v.Layout.has("pool"):
		return methods.Unsupportedf("%s/%s is a pool, not a disk", g.name, v.Name)
	case v.thin():
		return checkPool(g, v.Pool)
	case v.thickSnapshot():
		return methods.Unsupportedf("%s/%s is itself a thick snapshot: LVM has no snapshots of those", g.name, v.Name)
	case v.Layout.has("mirror") || v.Layout.has("writecache"):
		return methods.Unsupportedf("%s/%s is of the kind %v: LVM has no snapshots of those", g.name, v.Name, v.Layout)
	}
	return nil
}

func checkPool(g group, poolName string) error {
	pool, _ := g.find(poolName)
	for _, part := range []struct {
		name, flag string
		full       percent
	}{{"data", "-L", pool.DataPercent}, {"metadata", "--poolmetadatasize", pool.MetadataPercent}} {
		if part.full <= poolLimit {
			continue
		}
		return &methods.Blocked{
			What: fmt.Sprintf("the %s of thin pool %s/%s is %.1f %% full, more than %d %%", part.name, g.name, poolName, part.full, poolLimit),
			Hint: fmt.Sprintf("make it larger: lvextend %s +SIZE %s/%s", part.flag, g.name, poolName),
		}
	}
	return nil
}

// checkRoom says why the planned snapshot does not fit into the group.
func checkRoom(g group, origin volume, ref methods.Ref) error {
	object, _ := methods.ObjectName(ref.Snapshot, ref.Disk.Target)
	if g.has(object) {
		return fmt.Errorf("plan snapshot %s: %w", ref.Name, methods.ErrExists)
	}
	if free := int64(origin.GroupFree); ref.Reserve > free {
		return &methods.Blocked{
			What: fmt.Sprintf("a snapshot of %s needs %d bytes, volume group %s has %d free", ref.Origin, ref.Reserve, g.name, free),
			Hint: fmt.Sprintf("add a physical volume (vgextend %s), delete snapshots, or give a smaller <size percent='…'/>", g.name),
		}
	}
	return nil
}
