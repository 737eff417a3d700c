package lvm

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// nearlyFull is how many percent of their room volumes may use without a warning.
const nearlyFull = 80

// room is something that runs out: what happens then, and the command that makes more of it.
type room struct{ of, then, more string }

var (
	snapshotRoom = room{"room", "the snapshot is lost", "lvextend --extents +50%LV "}
	poolRoom     = room{"room", "the writes to all its volumes stop", "lvextend --extents +50%LV "}
	poolMetadata = room{"metadata", "the writes to all its volumes stop", "lvextend --poolmetadatasize +64M "}
)

// Warn implements methods.Warner. A thick snapshot that needs more room than it has is lost, and a thin pool that is full
// stops the writes of all its volumes.
func (m *Method) Warn(ctx context.Context, disk methods.Disk) ([]methods.Warning, error) {
	origin, g, err := m.groupOf(ctx, disk)
	if err != nil {
		return nil, err
	}
	own, _ := g.find(origin.volume)
	var all []methods.Warning
	for _, v := range g.volumes {
		n := name{g.name, v.Name}
		if v.thickSnapshot() && v.Origin == origin.volume && !v.overflowed() {
			all = append(all, snapshotRoom.warn(n, v.DataPercent)...)
		}
		if v.Name == own.Pool {
			all = append(all, poolRoom.warn(n, v.DataPercent)...)
			all = append(all, poolMetadata.warn(n, v.MetadataPercent)...)
		}
	}
	return all, nil
}

func (r room) warn(n name, used percent) []methods.Warning {
	if used < nearlyFull {
		return nil
	}
	return []methods.Warning{{
		What: fmt.Sprintf("%s has used %.0f %% of its %s, and when that is full, %s", n, float64(used), r.of, r.then),
		Fix:  r.more + n.String(),
	}}
}
