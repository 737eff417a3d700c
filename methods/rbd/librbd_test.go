//go:build rbd

package rbd

import (
	"errors"
	"testing"

	"github.com/ceph/go-ceph/rbd"

	"github.com/domsnap/domsnap/methods"
)

func TestExtentsOfNoOpenImage(t *testing.T) {
	closed := &writeImage{&readImage{Image: &rbd.Image{}}}
	one := []methods.Extent{{Offset: 512, Length: 512}}
	for name, reach := range map[string]func([]methods.Extent, []byte) error{"read": closed.ReadExtents, "write": closed.WriteExtents} {
		if err := reach(one, make([]byte, 512)); !errors.Is(err, rbd.ErrImageNotOpen) {
			t.Errorf("%s: %v", name, err)
		}
		if err := reach(nil, nil); err != nil {
			t.Errorf("%s nothing: %v", name, err)
		}
		if err := reach(one, make([]byte, 511)); err == nil || errors.Is(err, rbd.ErrImageNotOpen) {
			t.Errorf("%s more than there is memory for: %v", name, err)
		}
	}
}
