//go:build rbd

package rbd

import (
	"github.com/ceph/go-ceph/rbd"
)

func (c *connection) images() ([]string, error) {
	names, err := rbd.GetImageNames(c.ioctx)
	return names, typed(err)
}

func (c *connection) create(image string, size int64, plain bool) error {
	options := rbd.NewRbdImageOptions()
	defer options.Destroy()
	if plain {
		if err := options.SetUint64(rbd.ImageOptionFeatures, rbd.FeatureLayering); err != nil {
			return err
		}
	}
	return typed(rbd.CreateImage(c.ioctx, image, uint64(size), options))
}

func (c *connection) remove(image string) error { return typed(rbd.RemoveImage(c.ioctx, image)) }

func (i *writeImage) resize(size int64) error { return typed(i.Resize(uint64(size))) }

// own takes the lock that librbd takes by itself to write, and does not lend it to others that ask for it, as it would then.
func (i *writeImage) own() error {
	features, err := i.GetFeatures()
	if err != nil || features&rbd.FeatureExclusiveLock == 0 {
		return typed(err)
	}
	return typed(i.LockAcquire(rbd.LockModeExclusive))
}
