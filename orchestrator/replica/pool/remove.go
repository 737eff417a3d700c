package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// Remove implements replica.Place. It looks first whether anything stands in the way; then the replica is not complete any
// more, then its snapshots go, and then its manifest. The last snapshot is that of the image with the manifest, so that the
// replica can be seen, and removed again, as long as there is anything but a few words.
func (p Place) Remove(ctx context.Context, k replica.Key) error {
	if err := k.Check(); err != nil {
		return err
	}
	of, err := p.disks(ctx, k.Domain)
	if err != nil {
		return fmt.Errorf("remove replica: %w", err)
	}
	r := &removal{place: p, key: k}
	err = r.open(ctx, of[k.Domain])
	if err == nil {
		err = trace.Do(ctx, "remove a replica", func() error { return r.do(ctx) })
	}
	err = errors.Join(err, r.close())
	if err == nil {
		err = r.removeImages(ctx)
	}
	if err != nil {
		return fmt.Errorf("remove replica: %w", err)
	}
	return nil
}

// removal is one Remove at work.
type removal struct {
	place  Place
	key    replica.Key
	images []*owned
}

// owned is a disk's image, or that of its sums, which nobody else changes.
type owned struct {
	Writer
	name string
	// main: the manifest is with it.
	main bool
}

// open opens the images that the replica is in.
func (r *removal) open(ctx context.Context, targets []string) error {
	for _, target := range targets {
		name := imageOf(r.key.Domain, target)
		in, err := r.isIn(ctx, name)
		if err != nil {
			return err
		}
		if !in {
			continue
		}
		if err := r.own(ctx, name, r.place.Images.Change); err != nil {
			return err
		}
		if err := r.own(ctx, name+sumsSuffix, r.place.Images.Companion); err != nil {
			return err
		}
	}
	return nil
}

// opener is a way to open an image for changes.
type opener func(ctx context.Context, name string) (Writer, error)

func (r *removal) own(ctx context.Context, name string, open opener) error {
	w, err := open(ctx, name)
	if err == nil {
		r.images = append(r.images, &owned{Writer: w, name: name})
	}
	return ignoreMissing(err)
}

func (r *removal) isIn(ctx context.Context, name string) (in bool, err error) {
	err = r.place.peek(ctx, name, func(image Reader) error {
		in, err = r.isOf(ctx, image)
		return err
	})
	return in, err
}

func (r *removal) isOf(ctx context.Context, image Reader) (bool, error) {
	ids, err := replicasOf(ctx, image)
	if err != nil || slices.Contains(ids, r.key.Snapshot) {
		return err == nil, err
	}
	text, err := image.Noted(ctx, manifestKey+r.key.Snapshot)
	return text != "", err
}

func (r *removal) do(ctx context.Context) error {
	snap := snapOf(r.key.Snapshot)
	for _, image := range r.images {
		if err := removable(ctx, image, snap); err != nil {
			return err
		}
	}
	if err := r.invalidate(ctx); err != nil {
		return err
	}
	for rank := range ranks {
		if err := r.removeSnapshots(ctx, rank); err != nil {
			return err
		}
	}
	for _, image := range r.images {
		if err := image.Note(ctx, manifestKey+r.key.Snapshot, ""); err != nil {
			return err
		}
	}
	return nil
}

// removeSnapshots removes those of a rank at once: the monitors have a second between two decisions.
func (r *removal) removeSnapshots(ctx context.Context, rank int) error {
	errs := make([]error, len(r.images))
	var all sync.WaitGroup
	for i, image := range r.images {
		if image.rank() == rank {
			all.Go(func() { errs[i] = image.RemoveSnapshot(ctx, snapOf(r.key.Snapshot)) })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// ranks is how many ranks there are.
const ranks = 3

// rank orders the snapshots to be removed: by that of the content, and by the manifest, the others are found.
func (o *owned) rank() int {
	switch {
	case strings.HasSuffix(o.name, sumsSuffix):
		return 0
	case !o.main:
		return 1
	}
	return ranks - 1
}

func removable(ctx context.Context, image *owned, snap string) error {
	snaps, _, err := image.Snapshots(ctx)
	if err != nil || !slices.Contains(snaps, snap) {
		return err
	}
	by, err := image.Dependents(ctx, snap)
	if err == nil && len(by) > 0 {
		return methods.Blockedf("snapshot %s of image %s: %q", snap, image.name, by)
	}
	return err
}

// invalidate has the manifest say that nothing of the replica is done.
func (r *removal) invalidate(ctx context.Context) error {
	for _, image := range r.images {
		m, err := manifestOf(ctx, image, r.key)
		image.main = m != nil || errors.Is(err, methods.ErrBroken)
		if err != nil && !image.main {
			return err
		}
		if m == nil {
			continue
		}
		m.State = replica.Inbound
		for i := range m.Disks {
			m.Disks[i].Done = 0
		}
		if err := writeManifest(ctx, image, m); err != nil {
			return err
		}
	}
	return nil
}

func (r *removal) close() error {
	var errs []error
	for _, image := range r.images {
		errs = append(errs, image.Close())
	}
	return errors.Join(errs...)
}

// removeImages removes the images of disks that nothing is left of: neither a snapshot, whoever made it, nor a replica on its
// way.
func (r *removal) removeImages(ctx context.Context) error {
	for _, image := range r.images {
		if strings.HasSuffix(image.name, sumsSuffix) {
			continue
		}
		used, err := r.used(ctx, image.name)
		if err != nil {
			return err
		}
		if used {
			continue
		}
		for _, name := range []string{image.name + sumsSuffix, image.name} {
			if err := r.place.Images.Remove(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// used says also of an image that is gone that there is nothing to remove.
func (r *removal) used(ctx context.Context, name string) (used bool, err error) {
	used = true
	err = r.place.peek(ctx, name, func(image Reader) error {
		used, err = r.isUsed(ctx, image)
		return err
	})
	return used, err
}

func (r *removal) isUsed(ctx context.Context, image Reader) (bool, error) {
	snaps, _, err := image.Snapshots(ctx)
	if err != nil || len(snaps) > 0 {
		return true, err
	}
	h, err := headOf(ctx, image)
	if err != nil || !methods.IsSnapshotID(h.id) {
		return err != nil, err
	}
	_, err = r.place.find(ctx, replica.Key{Domain: r.key.Domain, Snapshot: h.id})
	return !errors.Is(err, methods.ErrNotFound), ignoreMissing(err)
}

func ignoreMissing(err error) error {
	if errors.Is(err, methods.ErrNotFound) {
		return nil
	}
	return err
}
