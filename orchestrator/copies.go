package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/domsnap/domsnap/orchestrator/shelf"
	"github.com/domsnap/domsnap/xmlspec"
)

// shelve keeps the host's copy of the lineage, and of where the disks are now. Of a disk that is misplaced it keeps where it
// was before.
func (op *operation) shelve(ctx context.Context, lineage string) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	desc, err := op.domain.Describe(ctx)
	if err != nil {
		return err
	}
	c := shelf.Copy{Written: op.Now(), Lineage: lineage, Rev: op.lineage.Rev}
	at := op.sources(ctx, desc.Disks)
	for _, d := range desc.Disks {
		c.Sources = append(c.Sources, shelf.Source{Target: d.Target, Source: at[d.Target], Format: d.Format})
	}
	if all := op.misplacedAt(at); len(all) > 0 {
		op.keepPlaces(&c, all)
	}
	return op.shelf.Put(op.desc.UUID, c)
}

// keepPlaces takes from the last copy where the misplaced disks were, and when that was written.
func (op *operation) keepPlaces(c *shelf.Copy, all []misplaced) {
	last, _, err := op.shelved()
	if err != nil || last == nil {
		return
	}
	c.Written = last.Written
	for n, now := range c.Sources {
		was, ok := last.Source(now.Target)
		if ok && slices.ContainsFunc(all, func(m misplaced) bool { return m.target == now.Target }) {
			c.Sources[n] = was
		}
	}
}

// shelved is the host's copy, and the lineage in it; nil when there is none.
func (op *operation) shelved() (*shelf.Copy, *xmlspec.Lineage, error) {
	c, err := op.shelf.Get(op.desc.UUID)
	if err != nil || c == nil {
		return nil, nil, err
	}
	l, err := lineageOf(c)
	if err != nil {
		return nil, nil, err
	}
	return c, l, nil
}

func lineageOf(c *shelf.Copy) (*xmlspec.Lineage, error) {
	l, err := xmlspec.ParseLineage(c.Lineage)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", shelf.ErrDamaged, err)
	}
	return l, nil
}

// later is the lineage of the host's copy where libvirt has an older one, else nil. A copy that is damaged has nothing to
// say; one that cannot be read may have.
func (op *operation) later() (*xmlspec.Lineage, error) {
	c, err := op.shelf.Get(op.desc.UUID)
	if errors.Is(err, shelf.ErrDamaged) {
		return nil, nil
	}
	if err != nil || c == nil || c.Rev != 0 && c.Rev <= op.lineage.Rev {
		return nil, err
	}
	l, err := lineageOf(c)
	if err != nil || l.Rev <= op.lineage.Rev {
		return nil, nil
	}
	return l, nil
}

// checkLatest refuses to go on from a lineage that is not the latest: what the host's copy says besides would be lost.
func (op *operation) checkLatest() error {
	l, err := op.later()
	if err != nil || l == nil {
		return err
	}
	return refuse("look with: domsnap check "+op.desc.Name+", and bring it back with: domsnap check --repair "+op.desc.Name+
		"; if this is another domain by now, remove "+op.shelf.Path(op.desc.UUID),
		"the metadata of domain %s is older than the copy of it on this host: it was defined without, or from a backup", op.desc.Name)
}

// bringBack writes the lineage of the host's copy where that is the later one.
func (op *operation) bringBack(ctx context.Context) error {
	l, err := op.later()
	if err != nil || l == nil {
		return err
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
		return
	}
	i.copy = c
}
