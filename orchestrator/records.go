package orchestrator

import (
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/xmlspec"
)

// toRecord writes a ref down.
func toRecord(r methods.Ref) xmlspec.LineageDisk {
	d := xmlspec.LineageDisk{
		Target: r.Disk.Target, Method: r.Method, Mode: r.Mode,
		Format: r.Disk.Format, Cache: r.Disk.Cache, Serial: r.Disk.Serial,
		File: r.Disk.Source.File, Dev: r.Disk.Source.Dev,
		Origin: r.Origin, Name: r.Name, Active: r.Active, Reserve: r.Reserve, Size: r.Size,
	}
	if rbd := r.Disk.Source.RBD; rbd != nil {
		d.RBD = &xmlspec.LineageRBD{
			Pool: rbd.Pool, Namespace: rbd.Namespace, Image: rbd.Image,
			User: rbd.User, Config: rbd.Config, Monitors: rbd.Monitors,
		}
	}
	if n := r.Disk.Source.Network; n != nil {
		d.Network = (*xmlspec.LineageNetwork)(n)
	}
	return d
}

// fromRecord reads it back.
func (op *operation) fromRecord(snapshot string, d xmlspec.LineageDisk) methods.Ref {
	ref := methods.Ref{
		Snapshot: snapshot, Method: d.Method, Mode: d.Mode,
		Disk: methods.Disk{
			Domain: op.identity(), Target: d.Target, Format: d.Format, Cache: d.Cache, Serial: d.Serial,
			Source: methods.Source{File: d.File, Dev: d.Dev},
		},
		Origin: d.Origin, Name: d.Name, Active: d.Active, Reserve: d.Reserve, Size: d.Size,
	}
	if d.RBD != nil {
		ref.Disk.Source.RBD = &methods.RBDImage{
			Pool: d.RBD.Pool, Namespace: d.RBD.Namespace, Image: d.RBD.Image,
			User: d.RBD.User, Config: d.RBD.Config, Monitors: d.RBD.Monitors,
		}
	}
	if d.Network != nil {
		ref.Disk.Source.Network = (*methods.NetworkSource)(d.Network)
	}
	return ref
}

// refs are the disks of a recorded snapshot.
func (op *operation) refs(s *xmlspec.LineageSnapshot) []methods.Ref {
	refs := make([]methods.Ref, len(s.Disks))
	for i, d := range s.Disks {
		refs[i] = op.fromRecord(s.ID, d)
	}
	return refs
}

// allRefs are the disks of all recorded snapshots.
func (op *operation) allRefs() []methods.Ref {
	var all []methods.Ref
	for i := range op.lineage.Snapshots {
		all = append(all, op.refs(&op.lineage.Snapshots[i])...)
	}
	return all
}

// others are the refs of the same disk and method in all other snapshots.
func (op *operation) others(ref methods.Ref) []methods.Ref {
	var others []methods.Ref
	for _, s := range op.lineage.Snapshots {
		for _, d := range s.Disks {
			if s.ID == ref.Snapshot || d.Target != ref.Disk.Target || d.Method != ref.Method {
				continue
			}
			if r := op.fromRecord(s.ID, d); op.alike(r, ref) {
				others = append(others, r)
			}
		}
	}
	return others
}

// alike says that two refs are of the same disk and the same method.
func (op *operation) alike(a, b methods.Ref) bool {
	if a.Disk.Target != b.Disk.Target || a.Method != b.Method || a.Mode == b.Mode {
		return a.Disk.Target == b.Disk.Target && a.Method == b.Method
	}
	one, err := op.Methods.Get(a.Method, a.Mode)
	other, err2 := op.Methods.Get(b.Method, b.Mode)
	return err == nil && err2 == nil && one == other
}

// snapshot finds a recorded snapshot by its name or its id.
func (op *operation) snapshot(name string) (*xmlspec.LineageSnapshot, error) {
	all := op.lineage.Snapshots
	for i := range all {
		if all[i].Name == name {
			return &all[i], nil
		}
	}
	if s := op.byID(name); s != nil {
		return s, nil
	}
	return nil, notFound("see which there are: domsnap snapshot-list "+op.desc.Name, "domain %s has no snapshot %q", op.desc.Name, name)
}

func (op *operation) byID(id string) *xmlspec.LineageSnapshot {
	for i := range op.lineage.Snapshots {
		if op.lineage.Snapshots[i].ID == id {
			return &op.lineage.Snapshots[i]
		}
	}
	return nil
}

// nameOf is the name of the snapshot with this id; nil for none.
func (op *operation) nameOf(id string) *string {
	if s := op.byID(id); s != nil {
		return &s.Name
	}
	return nil
}
