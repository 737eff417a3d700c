package lvm

import (
	"context"
	"fmt"
	"math"

	"github.com/domsnap/domsnap/methods"
)

const (
	// defaultPercent of the origin is what a thick snapshot can keep, where the descriptor says nothing.
	defaultPercent = 20
	// poolLimit is how full a thin pool may be. At 100 % every volume in it stops, at the worst for good.
	poolLimit = 95
	// cowChunk is the unit in which a thick snapshot keeps what changes, and exceptionBytes what it notes
	// for each.
	cowChunk       = 4096
	exceptionBytes = 16
)

// options is what a descriptor can say.
type options struct {
	Device *deviceOption `xml:"device"`
	Size   *sizeOption   `xml:"size"`
}

type deviceOption struct {
	Path string `xml:"path,attr" domsnap:"required"`
}

// sizeOption has one of its fields set.
type sizeOption struct {
	Percent *int64 `xml:"percent,attr"`
	Bytes   *int64 `xml:"bytes,attr"`
}

// Plan implements methods.Method.
func (m *Method) Plan(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	return m.plan(ctx, req, func(group, volume) int64 { return 0 })
}

// PlanKeep implements methods.Keeper. What a revert writes goes into the thick snapshot of the present before
// the guest changes anything, so that comes on top of the usual reserve.
func (m *Method) PlanKeep(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	return m.plan(ctx, req, func(g group, origin volume) int64 {
		var most int64
		for _, v := range g.thickSnapshotsOf(origin.Name) {
			most = max(most, v.used())
		}
		return most
	})
}

func (m *Method) plan(ctx context.Context, req methods.PlanRequest, extra func(group, volume) int64) (methods.Ref, error) {
	var opts options
	if err := methods.Decode(req.Spec, &opts); err != nil {
		return methods.Ref{}, err
	}
	object, err := methods.ObjectName(req.ID, req.Disk.Target)
	if err != nil {
		return methods.Ref{}, err
	}
	origin, g, err := m.locate(ctx, opts.path(req.Disk))
	if err != nil {
		return methods.Ref{}, err
	}
	v, _ := g.find(origin.volume)
	if err := checkOrigin(g, v); err != nil {
		return methods.Ref{}, err
	}
	reserve, err := opts.Size.reserve(v, extra(g, v))
	if err != nil {
		return methods.Ref{}, err
	}
	ref := methods.Ref{
		Snapshot: req.ID, Method: "lvm", Mode: modeOf(v), Disk: req.Disk, Origin: origin.String(),
		Name: origin.sibling(object).String(), Reserve: reserve, Size: int64(v.Size), Lock: "lvm:" + g.name,
	}
	return ref, checkRoom(g, v, ref)
}

func (o options) path(disk methods.Disk) string {
	if o.Device != nil {
		return o.Device.Path
	}
	return disk.Source.Path()
}

// locate finds the volume behind a path, in its group.
func (m *Method) locate(ctx context.Context, path string) (name, group, error) {
	n, err := m.resolve(path)
	if err != nil {
		return name{}, group{}, err
	}
	g, err := m.group(ctx, n.group)
	if err != nil {
		return name{}, group{}, err
	}
	if !g.has(n.volume) {
		return name{}, group{}, notVolume(path)
	}
	return n, g, nil
}

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
	for what, full := range map[string]percent{"data": pool.DataPercent, "metadata": pool.MetadataPercent} {
		if full > poolLimit {
			return &methods.Blocked{
				What: fmt.Sprintf("the %s of thin pool %s/%s is %.1f %% full, more than %d %%", what, g.name, poolName, full, poolLimit),
				Hint: fmt.Sprintf("make it larger: lvextend -L +SIZE (or --poolmetadatasize +SIZE) %s/%s", g.name, poolName),
			}
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

// reserve is the size of the snapshot's volume in whole extents; none for a thin one. It is never more than
// LVM would take: all chunks of the origin, and the list of them. Extra comes on top of a share.
func (s *sizeOption) reserve(origin volume, extra int64) (int64, error) {
	if origin.thin() {
		if s != nil {
			return 0, methods.Unsupportedf("<size> is for thick volumes: %s is thin and shares its pool's room", origin.Name)
		}
		return 0, nil
	}
	want, err := s.wanted(int64(origin.Size), extra)
	if err != nil {
		return 0, err
	}
	most := storeBytes(roundUp(int64(origin.Size), cowChunk)/cowChunk, cowChunk)
	return roundUp(min(max(want, 4*cowChunk), most), max(int64(origin.GroupExtent), cowChunk)), nil
}

// wanted is what was asked for. All of the origin means room for the list of its chunks too.
func (s *sizeOption) wanted(origin, extra int64) (int64, error) {
	if s == nil {
		return origin/100*defaultPercent + extra, nil
	}
	if (s.Percent == nil) == (s.Bytes == nil) {
		return 0, methods.Unsupportedf("<size> wants percent or bytes, one of them")
	}
	if s.Bytes != nil {
		if *s.Bytes < 1 {
			return 0, methods.Unsupportedf("<size bytes='%d'/>: want 1 or more", *s.Bytes)
		}
		return *s.Bytes, nil
	}
	if *s.Percent < 1 || *s.Percent > 100 {
		return 0, methods.Unsupportedf("<size percent='%d'/>: want 1 to 100", *s.Percent)
	}
	if *s.Percent == 100 {
		return math.MaxInt64, nil
	}
	return origin/100**s.Percent + extra, nil
}

// storeBytes is what a thick snapshot takes to keep that many chunks: a header, the chunks, and lists of them
// with one to spare, because the next list is begun before this one is full.
func storeBytes(chunks, chunk int64) int64 {
	return (1 + chunks + chunks/(chunk/exceptionBytes) + 2) * chunk
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
