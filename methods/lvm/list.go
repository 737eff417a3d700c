package lvm

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// List implements methods.Lister. What a revert has left over counts as the snapshot it belongs to.
func (m *Method) List(ctx context.Context, disk methods.Disk) ([]string, error) {
	origin, g, err := m.groupOf(ctx, disk)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range g.volumes {
		if object := objectOf(v.Name, disk.Target); object != "" && g.isOf(v, object, origin.volume) {
			names = append(names, object)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// groupOf is the volume that a disk is, and its group; an empty group for a disk that is none.
func (m *Method) groupOf(ctx context.Context, disk methods.Disk) (name, group, error) {
	origin, err := m.resolve(disk.Source.Path())
	if errors.Is(err, methods.ErrUnsupported) {
		return name{}, group{}, nil
	}
	if err != nil {
		return name{}, group{}, err
	}
	g, err := m.group(ctx, origin.group)
	return origin, g, err
}

// objectOf is the ObjectName in a volume's name, empty for what is not of the target.
func objectOf(volumeName, target string) string {
	object := strings.TrimSuffix(strings.TrimSuffix(volumeName, freshSuffix), oldSuffix)
	id := strings.TrimSuffix(strings.TrimPrefix(object, "ds-"), "-"+target)
	made, err := methods.ObjectName(id, target)
	if err != nil || made != object {
		return ""
	}
	return object
}

// isOf says whether a volume was made for snapshots of the origin. LVM knows it of thick snapshots; a thin one loses
// its origin when a revert replaces that, and has the tag. A leftover belongs to whom its snapshot does. A volume of
// which nothing says whose it is may be anybody's: a revert that keeps the present marks it last.
func (g group) isOf(v volume, object, origin string) bool {
	if v.thickSnapshot() {
		return v.Origin == origin
	}
	if owner, ok := g.find(object); ok {
		v = owner
	}
	i := slices.IndexFunc(v.Tags, func(tag string) bool { return strings.HasPrefix(tag, originTag("")) })
	return i < 0 || v.Tags[i] == originTag(origin)
}
