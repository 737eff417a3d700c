package orchestrator

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/domsnap/domsnap/orchestrator/shelf"
	"github.com/domsnap/domsnap/xmlspec"
)

// misplaced is a disk that is on the image of a snapshot: a definition of before that snapshot has put it there, and what the
// domain writes changes the snapshot.
type misplaced struct {
	target, image, snapshot string
	// next: it will be there after the next start.
	next bool
}

// misplaced looks at where the disks are, and at where they will be after the next start.
func (op *operation) misplaced(ctx context.Context) ([]misplaced, error) {
	all := op.misplacedAt(op.sources(ctx, op.desc.Disks))
	if !op.desc.Active() || !op.desc.Persistent {
		return all, nil
	}
	next, err := op.domain.Definition(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range op.misplacedAt(op.sources(ctx, next.Disks)) {
		m.next = true
		if !slices.ContainsFunc(all, func(now misplaced) bool { return now.target == m.target }) {
			all = append(all, m)
		}
	}
	return all, nil
}

func (op *operation) misplacedAt(sources map[string]string) []misplaced {
	var all []misplaced
	for _, s := range op.lineage.Snapshots {
		for _, d := range s.Disks {
			if d.Active != "" && sources[d.Target] == d.Name {
				all = append(all, misplaced{target: d.Target, image: d.Name, snapshot: s.Name})
			}
		}
	}
	return all
}

// sources are where the disks are, by target. A volume that cannot be found is nowhere.
func (op *operation) sources(ctx context.Context, disks []xmlspec.Disk) map[string]string {
	at := make(map[string]string, len(disks))
	for _, d := range disks {
		if disk, err := op.disk(ctx, d); err == nil {
			at[d.Target] = disk.Source.String()
		}
	}
	return at
}

// checkPlaced refuses to build anything on a disk that is misplaced, and to take away what may be its present.
func (op *operation) checkPlaced(ctx context.Context) error {
	all, err := op.misplaced(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	m := all[0]
	return refuse("see: domsnap check "+op.desc.Name, "disk %s is on %s, the image of snapshot %s", m.target, m.image, m.snapshot)
}

// findMisplaced looks for disks that are misplaced, and says where they were when the lineage was written.
func (i *inspection) findMisplaced(ctx context.Context) error {
	all, err := i.misplaced(ctx)
	for _, m := range all {
		i.off = append(i.off, m.image)
		f := Finding{
			Kind: FoundMisplaced, Snapshot: m.snapshot,
			What: fmt.Sprintf("%s is on %s, the image of snapshot %s, which would not survive a start", m.target, m.image, m.snapshot),
			Fix:  "find the disk's present image, and point the domain at it: virsh edit " + i.desc.Name,
		}
		was, ok := i.was(m.target)
		switch {
		case !ok || was.Source == m.image:
		case i.writtenSince(m.image):
			f.What += "; it was on " + was.Source + ", and this image has been written to since"
			f.Fix = fmt.Sprintf("what was built on it is damaged: point the domain at %s again (virsh edit %s) and revert to an older snapshot, "+
				"or keep the image as the present: domsnap snapshot-delete --metadata %s %s", was.Source, i.desc.Name, i.desc.Name, m.snapshot)
		default:
			f.What += "; it was on " + was.Source
			f.Fix = "domsnap check --repair " + i.desc.Name
			i.movable = append(i.movable, was)
			i.inUse = i.inUse || !m.next && i.desc.Active()
		}
		i.add(f)
	}
	return err
}

// writtenSince says whether the file has been changed after the lineage was written. An image that was, is no base any more
// for what was built on it.
func (i *inspection) writtenSince(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.ModTime().After(i.copy.Written)
}

// was is where the disk was when the lineage was written.
func (i *inspection) was(target string) (shelf.Source, bool) {
	if i.copy == nil {
		return shelf.Source{}, false
	}
	return i.copy.Source(target)
}
