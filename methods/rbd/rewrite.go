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

// planRewrite finds out what changed since a snapshot. It fails with ErrUnsupported where that is not cheap.
func planRewrite(ctx context.Context, image reader, p place) (rewrite, error) {
	found, err := look(image, p)
	if err != nil {
		return rewrite{}, err
	}
	r := rewrite{fresh: found.fresh(), used: found.now}
	for part := range pieces(found.suspects, partSize) {
		changed, err := image.changedWithin(p.snap, "", part)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return rewrite{}, err
		}
		r.changed = append(r.changed, changed...)
		if !r.quicker() {
			break
		}
	}
	return r, nil
}
