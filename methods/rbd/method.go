// Package rbd takes snapshots of images in a Ceph cluster with librbd.
//
// librbd makes a program's start slower, so only files with the build tag rbd use it. Without the tag the
// method still knows its disks, and says which package it needs.
package rbd

import (
	"context"
	"os"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// Name is what descriptors and records call the method.
const Name = "rbd"

// Method is the rbd method. Each verb opens its image and closes it again: an image that a process leaves open
// keeps others waiting for half a minute.
type Method struct {
	connections *kept
	// devices is where the kernel lists the images mapped to block devices.
	devices string
	limits  limits
}

// limits are how long the method waits for others.
type limits struct {
	// answer is how long a living client may take to answer.
	answer time.Duration
	// dead is how long the cluster may take to let go of a client that died.
	dead time.Duration
	// finish is how long a call that nobody waits for any more may still run.
	finish time.Duration
}

// New makes the method. It also takes the variables by which librados would let the caller's environment
// choose the cluster, the user or the keyring out of this process's environment, so it must be called before
// there is another thread that reads it.
func New() *Method {
	forgetEnvironment()
	return &Method{
		connections: &kept{connect: connect, life: 5 * time.Second},
		devices:     "/sys/bus/rbd/devices",
		limits:      usualLimits(),
	}
}

func forgetEnvironment() {
	for _, name := range []string{"CEPH_ARGS", "CEPH_CONF", "CEPH_KEYRING", "CEPH_LIB"} {
		os.Unsetenv(name)
	}
}

// Traits implements methods.Method.
func (m *Method) Traits() methods.Traits {
	return methods.Traits{
		Name:      Name,
		Summary:   "snapshot of a Ceph RBD image",
		BelowQEMU: true,
		// A group snapshot would be atomic and takes about a second. Taken side by side, single
		// snapshots need that at most, and the disks are still anyway.
		Atomic:   false,
		TakeCost: methods.CostNothing, RevertCost: methods.CostChanged,
	}
}

// Claim implements methods.Claimer. It needs no librbd.
func (m *Method) Claim(_ context.Context, disk methods.Disk) methods.Claim {
	if _, err := m.image(disk.Source); err != nil {
		return methods.Claim{}
	}
	return methods.Claim{Rank: methods.RankOnly, Why: "an rbd image"}
}

// Check implements methods.Checker.
func (m *Method) Check(context.Context) error { return available() }

// Linked implements methods.Linker.
func (m *Method) Linked() error { return available() }

// Plan implements methods.Method. An image that is not there is ErrNotFound.
func (m *Method) Plan(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	if err := methods.Decode(req.Spec, &struct{}{}); err != nil {
		return methods.Ref{}, err
	}
	p, err := m.place(req)
	if err != nil {
		return methods.Ref{}, err
	}
	found, err := inspect(ctx, m, p, func(image reader) (description, error) { return vacant(image, p) })
	if err != nil {
		return methods.Ref{}, err
	}
	return methods.Ref{
		Snapshot: req.ID, Method: Name, Disk: req.Disk,
		Origin: p.RBDImage.String(), Name: p.String(), Size: found.size,
	}, nil
}

var (
	_ methods.Method      = (*Method)(nil)
	_ methods.Sourcer     = (*Method)(nil)
	_ methods.Claimer     = (*Method)(nil)
	_ methods.Checker     = (*Method)(nil)
	_ methods.Linker      = (*Method)(nil)
	_ methods.Preparer    = (*Method)(nil)
	_ methods.DropChecker = (*Method)(nil)
	_ methods.Reverter    = (*Method)(nil)
	_ methods.Differ      = (*Method)(nil)
	_ methods.Lister      = (*Method)(nil)
)
