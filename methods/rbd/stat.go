package rbd

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// Stat implements methods.Method.
func (m *Method) Stat(ctx context.Context, ref methods.Ref) (methods.Info, error) {
	p, err := recorded(ref)
	if err != nil {
		return methods.Info{}, err
	}
	return inspect(ctx, m, p, func(image reader) (methods.Info, error) {
		found, at, err := present(image, p)
		if err != nil {
			return methods.Info{}, err
		}
		used, err := bytesUsed(image, found, at)
		return methods.Info{BytesUsed: used}, err
	})
}

// present describes the image and says where in it the snapshot is.
func present(image reader, p place) (description, int, error) {
	found, err := image.describe()
	if err != nil {
		return found, -1, fmt.Errorf("look at image %s: %w", p.RBDImage, err)
	}
	at := found.find(p.snap)
	if at < 0 {
		return found, -1, fmt.Errorf("find snapshot %s: %w", p, methods.ErrNotFound)
	}
	return found, at, nil
}

// bytesUsed is the room of the objects that only this snapshot keeps: those written since the snapshot before
// it and written or removed again before what comes after it. It counts whole objects.
func bytesUsed(image reader, found description, at int) (int64, error) {
	var before, after string
	if at > 0 {
		before = found.snaps[at-1].name
	}
	if at+1 < len(found.snaps) {
		after = found.snaps[at+1].name
	}
	snap := found.snaps[at].name
	since, err := image.changed(before, snap)
	if errors.Is(err, methods.ErrUnsupported) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("compare snapshot %s with the one before: %w", snap, err)
	}
	until, err := image.changed(snap, after)
	if err != nil {
		return -1, fmt.Errorf("compare snapshot %s with what came after: %w", snap, err)
	}
	return common(since, until), nil
}

// common is how many bytes that exist in a are in b too. Both are in order.
func common(a, b []extent) (sum int64) {
	for len(a) > 0 && len(b) > 0 {
		overlap := min(a[0].end(), b[0].end()) - max(a[0].offset, b[0].offset)
		if a[0].exists && overlap > 0 {
			sum += overlap
		}
		if a[0].end() < b[0].end() {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return sum
}
