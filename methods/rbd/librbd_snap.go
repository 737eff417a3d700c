//go:build rbd

package rbd

import (
	"errors"
	"fmt"

	"github.com/ceph/go-ceph/rbd"

	"github.com/domsnap/domsnap/methods"
)

func (i *readImage) dependents(snap string) (by []string, err error) {
	protected, err := i.GetSnapshot(snap).IsProtected()
	if err != nil {
		return nil, typed(err)
	}
	if protected {
		by = append(by, "it is protected")
	}
	children, err := at(i, snap, i.ListChildrenAttributes)
	if err != nil {
		return nil, err
	}
	for _, c := range children {
		by = append(by, "clone "+methods.RBDImage{Pool: c.PoolName, Namespace: c.PoolNamespace, Image: c.ImageName}.String())
	}
	return by, nil
}

// changed asks the object map, which is cheap; without one librbd would ask for each object.
func (i *readImage) changed(from, to string) ([]extent, error) {
	features, err := i.GetFeatures()
	if err != nil {
		return nil, typed(err)
	}
	if features&rbd.FeatureFastDiff == 0 {
		return nil, fmt.Errorf("compare without fast-diff: %w", methods.ErrUnsupported)
	}
	return at(i, to, func() ([]extent, error) {
		size, err := i.GetSize()
		if err != nil {
			return nil, err
		}
		return i.diff(rbd.DiffIterateConfig{SnapName: from, Length: size, WholeObject: rbd.EnableWholeObject})
	})
}

func (i *readImage) changedWithin(from, to string, in extent) ([]extent, error) {
	return at(i, to, func() ([]extent, error) {
		return i.diff(rbd.DiffIterateConfig{SnapName: from, Offset: uint64(in.offset), Length: uint64(in.length)})
	})
}

func (i *readImage) noted(key string) (string, error) {
	text, err := i.GetMetadata(key)
	if err := typed(err); err != nil && !errors.Is(err, methods.ErrNotFound) {
		return "", err
	}
	return text, nil
}

func (i *readImage) diff(what rbd.DiffIterateConfig) (found []extent, err error) {
	what.Callback = func(offset, length uint64, exists int, _ any) int {
		found = append(found, extent{int64(offset), int64(length), exists != 0})
		return 0
	}
	err = i.DiffIterate(what)
	return found, typed(err)
}

// plain asks for the parent at the snapshot: the present can have lost it since, and never gains one.
func (i *readImage) plain(snap string) error {
	stripes, err := i.GetStripeCount()
	if err != nil {
		return typed(err)
	}
	if stripes > 1 {
		return methods.Unsupportedf("image is striped")
	}
	parent, err := at(i, snap, i.GetParent)
	if err == nil {
		return methods.Unsupportedf("image is a clone of %s", parent.Image.ImageName)
	}
	if !errors.Is(err, methods.ErrNotFound) {
		return err
	}
	return nil
}

func (i *readImage) stay(snap string) (data, error) {
	return i, typed(i.move(snap))
}

// at asks something of the image as it was at a snapshot; an empty snapshot is the present.
func at[T any](i *readImage, snap string, ask func() (T, error)) (answer T, err error) {
	if snap == "" {
		answer, err = ask()
		return answer, typed(err)
	}
	if err := i.move(snap); err != nil {
		return answer, typed(err)
	}
	answer, err = ask()
	if back := i.move(rbd.NoSnapshot); back != nil && err == nil {
		err = back
	}
	return answer, typed(err)
}
