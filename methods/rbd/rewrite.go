package rbd

import (
	"context"
	"errors"
)

const (
	// grain is the smallest run of zeroes that is not written, and the least that a write counts for: smaller
	// ones take as long.
	grain = 64 << 10
	// partSize is how much is asked for changes at a time, a multiple of the size of any object.
	partSize = 1 << 30
)

// rewrite is what gives an image the content of a snapshot.
type rewrite struct {
	// changed is what the snapshot has and the present has otherwise.
	changed []extent
	// fresh are the whole objects that the snapshot does not have.
	fresh []extent
	// used are the whole objects that the present has.
	used []extent
}

func (r rewrite) bytes() int64 { return total(r.changed, 0) + total(r.fresh, 0) }

// quicker says whether to prefer it to a rollback, which takes about as long for each object in use, changed
// or not: while what has changed is less than a quarter of what is in use.
func (r rewrite) quicker() bool { return 4*total(r.changed, grain) < total(r.used, 0) }

// planRewrite finds out what changed since a snapshot. It fails with ErrUnsupported where that is not cheap, or
// not certain.
//
// The object maps say which objects exist at a point in time. They do not say reliably which objects changed
// since: a rollback gives the image the older snapshot's map, and with it objects that look unchanged since
// younger snapshots. So the objects themselves are asked, those that the snapshot has.
func planRewrite(ctx context.Context, image reader, snap string) (rewrite, error) {
	if err := image.plain(snap); err != nil {
		return rewrite{}, err
	}
	then, err := image.changed("", snap)
	if err != nil {
		return rewrite{}, err
	}
	now, err := image.changed("", "")
	if err != nil {
		return rewrite{}, err
	}
	then, now = existing(then), existing(now)
	r := rewrite{fresh: without(now, then), used: now}
	for part := range pieces(join(then), partSize) {
		found, err := image.changedWithin(snap, part)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return rewrite{}, err
		}
		r.changed = append(r.changed, found...)
		if !r.quicker() {
			break
		}
	}
	return r, nil
}
