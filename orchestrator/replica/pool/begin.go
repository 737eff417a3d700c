package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// takeOvers is how many replicas may be in the way of one.
const takeOvers = 64

// Begin implements replica.Place. What is on its way to the same images is given up.
func (p Place) Begin(ctx context.Context, m replica.Manifest) (replica.Inbox, error) {
	m, err := m.Begun()
	if err != nil {
		return nil, err
	}
	for range takeOvers {
		b := &inbox{place: p, manifest: m, disks: map[string]*disk{}}
		inTheWay, err := b.begin(ctx)
		if err == nil && inTheWay == "" {
			return b, nil
		}
		if err := errors.Join(err, b.Close()); err != nil {
			return nil, fmt.Errorf("begin replica of snapshot %s: %w", m.Name, err)
		}
		if err := p.Remove(ctx, replica.Key{Domain: m.Domain, Snapshot: inTheWay}); err != nil {
			return nil, fmt.Errorf("begin replica of snapshot %s: give up another one: %w", m.Name, err)
		}
	}
	return nil, methods.Blockedf("others begin replicas of the same disks again and again")
}

// begin goes on with what is there, where that is the same replica, and else begins anew. It names a replica that is on its way
// to the same images and has to go first.
func (b *inbox) begin(ctx context.Context) (inTheWay string, err error) {
	errOpen := b.open(ctx)
	if errOpen != nil && !errors.Is(errOpen, methods.ErrBlocked) {
		return "", errOpen
	}
	there, err := b.find(ctx, b.manifest.Snapshot)
	if err != nil {
		return "", errors.Join(errOpen, err)
	}
	if there != nil && there.State == replica.Complete {
		// Whoever is in the way of a replica that is to come is not in the way of one that is there.
		return "", b.isComplete(*there)
	}
	if errOpen != nil {
		return "", errOpen
	}
	if inTheWay, err = b.inTheWay(ctx); err != nil || inTheWay != "" {
		return inTheWay, err
	}
	if there != nil && b.goesOn(there) {
		b.is(*there)
		return "", nil
	}
	return "", b.anew(ctx)
}

func (b *inbox) isComplete(m replica.Manifest) error {
	if !m.Covers(&b.manifest) {
		return methods.Blockedf("there is a replica of snapshot %s with other disks", m.Name)
	}
	b.manifest = m
	return nil
}

// open opens the images of all disks, as far as there are any.
func (b *inbox) open(ctx context.Context) error {
	for i := range b.manifest.Disks {
		if err := b.openDisk(ctx, &b.manifest.Disks[i]); err != nil {
			return err
		}
	}
	return nil
}

func (b *inbox) openDisk(ctx context.Context, of *replica.Disk) (err error) {
	d := &disk{Disk: of, name: imageOf(b.manifest.Domain, of.Target), pending: replica.Pending{}, next: newBatch(), free: make(chan *batch, 1)}
	d.free <- newBatch()
	b.disks[of.Target] = d
	if d.data, err = ifThere(b.place.Images.Change(ctx, d.name)); err != nil {
		return err
	}
	if d.sums, err = ifThere(b.place.Images.Companion(ctx, d.name+sumsSuffix)); err != nil || d.data == nil {
		return err
	}
	d.head, err = headOf(ctx, d.data)
	return err
}

// ifThere is nil for an image that is not there.
func ifThere(w Writer, err error) (Writer, error) {
	if err != nil {
		return nil, ignoreMissing(err)
	}
	return w, nil
}

// inTheWay is the id of another replica on its way.
func (b *inbox) inTheWay(ctx context.Context) (string, error) {
	for _, d := range b.disks {
		if d.head.id == b.manifest.Snapshot || !methods.IsSnapshotID(d.head.id) {
			continue
		}
		m, err := b.find(ctx, d.head.id)
		switch {
		case errors.Is(err, methods.ErrBroken):
			return d.head.id, nil
		case err != nil:
			return "", err
		case m != nil && m.State != replica.Complete:
			return m.Snapshot, nil
		}
	}
	return "", nil
}

// find looks for a manifest with the images that are open, and then with the domain's others. It is nil where there is none.
func (b *inbox) find(ctx context.Context, id string) (*replica.Manifest, error) {
	k := replica.Key{Domain: b.manifest.Domain, Snapshot: id}
	var seen []string
	for target, d := range b.disks {
		if d.data == nil {
			continue
		}
		if m, err := manifestOf(ctx, d.data, k); err != nil || m != nil {
			return m, err
		}
		seen = append(seen, target)
	}
	m, err := b.place.find(ctx, k, seen...)
	return m, ignoreMissing(err)
}

// goesOn says that the heads are what the manifest says of them.
func (b *inbox) goesOn(there *replica.Manifest) bool {
	if len(there.Disks) != len(b.manifest.Disks) || !there.Covers(&b.manifest) || there.Disks[0].Target != b.manifest.Disks[0].Target {
		return false
	}
	for _, d := range b.disks {
		if d.data == nil || d.sums == nil || d.head != (head{id: there.Snapshot}) {
			return false
		}
	}
	return true
}

// is has the disks be those of a manifest.
func (b *inbox) is(m replica.Manifest) {
	m.Disks = slices.Clone(m.Disks)
	b.manifest = m
	for i := range m.Disks {
		b.disks[m.Disks[i].Target].Disk = &m.Disks[i]
	}
}

// anew makes every head what the replica begins as. What can be gone on with is said last.
func (b *inbox) anew(ctx context.Context) error {
	base, err := b.base(ctx)
	if err != nil {
		return err
	}
	if base == nil {
		b.manifest.Base = ""
	}
	for _, d := range b.disks {
		if err := d.make(ctx, b.place.Images); err != nil {
			return err
		}
		if base != nil {
			_, d.Based = base.Disk(d.Target)
		}
		if err := d.data.Note(ctx, headKey, dirty+b.manifest.Snapshot); err != nil {
			return err
		}
	}
	b.manifest.Prepared = true
	if err := b.write(ctx); err != nil {
		return err
	}
	for _, d := range b.disks {
		if err := trace.Do(ctx, "prepare a replica's disk", func() error { return d.prepare(ctx, b.manifest.Base) }); err != nil {
			return fmt.Errorf("prepare disk %s: %w", d.Target, err)
		}
		if err := d.data.Note(ctx, headKey, b.manifest.Snapshot); err != nil {
			return err
		}
	}
	return nil
}

// base is the manifest of the replica that this one begins as; nil where there is none that can be used.
func (b *inbox) base(ctx context.Context) (*replica.Manifest, error) {
	if b.manifest.Base == "" {
		return nil, nil
	}
	m, err := b.find(ctx, b.manifest.Base)
	if errors.Is(err, methods.ErrBroken) || err == nil && (m == nil || m.State != replica.Complete) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, d := range b.disks {
		if t, ok := m.Disk(d.Target); ok && (t.Size != d.Size || d.data == nil || d.sums == nil) {
			return nil, nil
		}
	}
	return m, nil
}

// make makes the images that are missing.
func (d *disk) make(ctx context.Context, images Images) (err error) {
	d.fresh = d.data == nil && d.sums == nil
	if d.data == nil {
		if err := images.Create(ctx, d.name, d.Size, false); err != nil {
			return err
		}
		if d.data, err = images.Change(ctx, d.name); err != nil {
			return err
		}
	}
	if d.sums == nil {
		if err := images.Create(ctx, d.name+sumsSuffix, d.sumsSize(), true); err != nil {
			return err
		}
		d.sums, err = images.Companion(ctx, d.name+sumsSuffix)
	}
	return err
}

func (d *disk) sumsSize() int64 { return replica.Chunks(d.Size) * replica.SumSize }

// prepare gives a head the content of the base, where that has the disk, and else none.
func (d *disk) prepare(ctx context.Context, base string) error {
	switch {
	case d.fresh:
		return nil
	case !d.Based:
		return errors.Join(empty(ctx, d.data, d.Size), empty(ctx, d.sums, d.sumsSize()))
	}
	snap := snapOf(base)
	if d.head == (head{id: base}) {
		differs, err := d.data.Differs(ctx, snap)
		if err != nil || !differs {
			return err
		}
	}
	return errors.Join(d.data.RollBack(ctx, snap), d.sums.RollBack(ctx, snap))
}

func empty(ctx context.Context, image Writer, size int64) error {
	return errors.Join(image.Resize(ctx, 0), image.Resize(ctx, size))
}
