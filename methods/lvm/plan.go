package lvm

import (
	"context"

	"github.com/domsnap/domsnap/methods"
)

// options is what a descriptor can say.
type options struct {
	Device *deviceOption `xml:"device"`
	Size   *sizeOption   `xml:"size"`
}

type deviceOption struct {
	Path string `xml:"path,attr" domsnap:"required"`
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
