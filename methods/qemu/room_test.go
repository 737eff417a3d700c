package qemu_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// TestMergeNeedsRoomForWhatTheBaseLacks: what both images hold is written in place.
func TestMergeNeedsRoomForWhatTheBaseLacks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, image string
		// base and top are the slots that each of the images has.
		base, top []int
		set       func(*rig)
		needed    int64
	}{
		{"a qcow2 base without any", "web1.qcow2", nil, []int{0, 1}, nil, 2 * slot},
		{"one of two is there", "web1.qcow2", []int{1, 2}, []int{0, 1}, nil, slot},
		{"both are there", "web1.qcow2", []int{0, 1}, []int{0, 1}, nil, 0},
		{"a raw base with a hole", "web1.raw", []int{0, 1}, []int{1, 2}, nil, slot},
		{"a raw base that has reserved it", "web1.raw", []int{0}, []int{1, 2}, func(r *rig) {
			f, err := os.OpenFile(r.disk("vda").Source.File, os.O_RDWR, 0)
			if err == nil {
				err = errors.Join(unix.Fallocate(int(f.Fd()), 0, 0, slot*slots), f.Close())
			}
			if err != nil {
				r.t.Fatal(err)
			}
		}, 0},
		{"zeroes on nothing", "web1.qcow2", nil, nil, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRigAt(t, c.image)
			for _, n := range c.base {
				r.write(n, 'a')
			}
			if c.set != nil {
				c.set(r)
			}
			r.take("sone")
			for _, n := range c.top {
				r.write(n, 'b')
			}
			for _, free := range []int64{0, c.needed - 1, c.needed, 1 << 40} {
				r.SetFree(max(free, 0))
				_, err := r.PlanDrop(t.Context(), r.dropRequest("sone"))
				if blocked := max(free, 0) < c.needed; errors.Is(err, methods.ErrBlocked) != blocked || !blocked && err != nil {
					t.Errorf("of %d bytes that are needed %d are free: %v", c.needed, max(free, 0), err)
				}
			}
			r.drop("sone")
		})
	}
}
