package orchestrator

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/orchestrator/shelf"
	"github.com/domsnap/domsnap/xmlspec"
)

// shelve keeps the host's copy of the lineage, and of where the disks are now.
func (op *operation) shelve(ctx context.Context) error {
	desc, err := op.domain.Describe(ctx)
	if err != nil {
		return err
	}
	text, err := op.lineage.Marshal()
	if err != nil {
		return err
	}
	c := shelf.Copy{Written: op.Now(), Lineage: text}
	for _, d := range desc.Disks {
		c.Sources = append(c.Sources, shelf.Source{Target: d.Target, Source: toSource(d.Source).String(), Format: d.Format})
	}
	return op.shelf.Put(op.desc.UUID, c)
}

// shelved is the host's copy, and the lineage in it; nil when there is none.
func (op *operation) shelved() (*shelf.Copy, *xmlspec.Lineage, error) {
	c, err := op.shelf.Get(op.desc.UUID)
	if err != nil || c == nil {
		return nil, nil, err
	}
	l, err := xmlspec.ParseLineage(c.Lineage)
	return c, l, err
}

// later is the lineage of the host's copy where libvirt has an older one, else nil. A copy that cannot be read has nothing
// to say.
func (op *operation) later() *xmlspec.Lineage {
	_, l, err := op.shelved()
	if err != nil || l == nil || l.Rev <= op.lineage.Rev {
		return nil
	}
	return l
}

// checkLatest refuses to go on from a lineage that is not the latest: what the host's copy says besides would be lost.
func (op *operation) checkLatest() error {
	if op.later() == nil {
		return nil
	}
	return refuse("look with: domsnap check "+op.desc.Name+", and bring it back with: domsnap check --repair "+op.desc.Name,
		"the metadata of domain %s is older than the copy of it on this host: it was defined without, or from a backup", op.desc.Name)
}

// bringBack writes the lineage of the host's copy where that is the later one.
func (op *operation) bringBack(ctx context.Context) error {
	l := op.later()
	if l == nil {
		return nil
	}
	op.lineage = l
	return op.commit(ctx)
}

// findCopy compares the lineage with the host's copy. Where libvirt's is the older one, somebody has defined the domain
// without it, or from a backup: the rest is looked at by the copy then.
func (i *inspection) findCopy() {
	fix := "domsnap check --repair " + i.desc.Name
	c, l, err := i.shelved()
	switch {
	case err != nil:
		i.add(Finding{Kind: FoundCopy, What: err.Error(), Fix: fix})
		return
	case c == nil:
		return
	case l.Rev > i.lineage.Rev:
		i.add(Finding{Kind: FoundLineage, Fix: fix, What: fmt.Sprintf(
			"the domain's metadata is older than the copy of it on this host: it names %d snapshots, the copy %d",
			len(i.lineage.Snapshots), len(l.Snapshots))})
		i.lineage, i.restored = l, true
	case l.Rev < i.lineage.Rev:
		i.add(Finding{Kind: FoundCopy, What: "the copy of the domain's metadata on this host is older than that", Fix: fix})
	}
	i.copy = c
}
