// Package lvm takes snapshots of logical volumes. A volume in a thin pool gets a thin snapshot, any other a
// thick one, which is a volume of a fixed size that keeps what the origin overwrites.
//
// Nothing is merged: a merge consumes the snapshot and is put off while the origin is open.
package lvm

import (
	"context"
	"fmt"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

// The modes of a Ref.
const (
	modeThick = "thick"
	modeThin  = "thin"
)

// Method is the method "lvm". It is safe for use by several goroutines; LVM's own lock on the volume group
// makes acts in one group follow each other.
type Method struct {
	run command.Runner
	// dev and sys are /dev and /sys; number is deviceNumber.
	dev, sys string
	number   func(path string) (string, error)
	// patience is how long a volume may stay open before that is in the way.
	patience time.Duration
	readers  readers
}

// New makes the method over whatever runs the LVM tools.
func New(run command.Runner) *Method {
	return &Method{run: run, dev: "/dev", sys: "/sys", number: deviceNumber, patience: 3 * time.Second,
		readers: readers{of: map[name]int{}}}
}

// Traits implements methods.Method.
func (m *Method) Traits() methods.Traits {
	return methods.Traits{
		Name:      "lvm",
		Summary:   "snapshots of logical volumes, thin or thick",
		BelowQEMU: true,
		// That of a thick volume; a thin one goes back at once.
		TakeCost: methods.CostNothing, RevertCost: methods.CostChanged,
	}
}

// Claim takes every disk that is a logical volume. A file costs one stat.
func (m *Method) Claim(ctx context.Context, disk methods.Disk) methods.Claim {
	n, err := m.resolve(disk.Source.Path())
	if err != nil {
		return methods.Claim{}
	}
	g, err := m.group(ctx, n.group)
	if err != nil {
		return methods.Claim{}
	}
	v, ok := g.find(n.volume)
	if !ok {
		return methods.Claim{}
	}
	return methods.Claim{Rank: methods.RankOnly, Why: fmt.Sprintf("a logical volume (%s)", modeOf(v))}
}

func modeOf(v volume) string {
	if v.thin() {
		return modeThin
	}
	return modeThick
}

// Stat implements methods.Method. A thick snapshot that was too small is ErrBroken.
func (m *Method) Stat(ctx context.Context, ref methods.Ref) (methods.Info, error) {
	t, err := parseRef(ref)
	if err != nil {
		return methods.Info{}, err
	}
	g, err := m.group(ctx, t.snapshot.group)
	if err != nil {
		return methods.Info{}, err
	}
	v, err := t.sound(g)
	if err != nil {
		return methods.Info{}, err
	}
	if t.thin {
		return methods.Info{BytesUsed: -1}, nil
	}
	return methods.Info{BytesUsed: v.used()}, nil
}

// sound finds the snapshot and says what is wrong with it.
func (t target) sound(g group) (volume, error) {
	v, ok := g.find(t.snapshot.volume)
	switch {
	case !ok:
		return v, fmt.Errorf("find snapshot %s: %w", t.snapshot, methods.ErrNotFound)
	case t.thin != v.thin():
		return v, fmt.Errorf("check snapshot %s: it is a %s volume: %w", t.snapshot, modeOf(v), methods.ErrBroken)
	case t.thin:
		return v, nil
	case v.Origin == "" && v.Tags.has(snapshotTag(t.id)):
		return v, fmt.Errorf("find snapshot %s: it was prepared and not taken: %w", t.snapshot, methods.ErrNotFound)
	case v.Origin != t.origin.volume || !v.thickSnapshot():
		return v, fmt.Errorf("check snapshot %s: it is not a snapshot of %s: %w", t.snapshot, t.origin, methods.ErrBroken)
	case v.overflowed():
		return v, fmt.Errorf("check snapshot %s: it ran full: %w", t.snapshot, methods.ErrBroken)
	}
	return v, nil
}

// Source implements methods.Sourcer. A thin snapshot has a device only while it is active, and is kept inactive
// so that the host does not scan what the guest wrote: lvchange -ay -K before reading, lvchange -an after.
func (m *Method) Source(_ context.Context, ref methods.Ref) (methods.BackupSource, error) {
	t, err := parseRef(ref)
	if err != nil {
		return methods.BackupSource{}, err
	}
	path, format := m.path(t.snapshot), "raw"
	if ref.Disk.Format == "qcow2" {
		format = "qcow2"
	}
	return methods.BackupSource{XML: "<source dev='" + path + "'/>", URI: path, Format: format}, nil
}

// path is where LVM puts the device of an active volume.
func (m *Method) path(n name) string { return m.dev + "/" + n.String() }

var (
	_ methods.Method      = (*Method)(nil)
	_ methods.Sourcer     = (*Method)(nil)
	_ methods.Claimer     = (*Method)(nil)
	_ methods.Checker     = (*Method)(nil)
	_ methods.Preparer    = (*Method)(nil)
	_ methods.DropChecker = (*Method)(nil)
	_ methods.Reverter    = (*Method)(nil)
	_ methods.Keeper      = (*Method)(nil)
	_ methods.Differ      = (*Method)(nil)
	_ methods.Lister      = (*Method)(nil)
	_ methods.Warner      = (*Method)(nil)
	_ methods.Prober      = (*Method)(nil)
)
