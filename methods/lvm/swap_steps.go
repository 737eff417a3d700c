package lvm

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// makeFresh gives the new volume what the old one had: tags, permission, and when it is activated. lvcreate
// refuses --setautoactivation for snapshots.
func (m *Method) makeFresh(ctx context.Context, r revert) error {
	origin, _ := r.group.find(r.to.origin.volume)
	args := []string{"--snapshot", "--permission", permission(origin), "--ignoreactivationskip",
		"--activate", yesNo(bool(origin.Active)),
		"--setactivationskip", yesNo(bool(origin.SkipActivation)),
		"--name", r.fresh().volume}
	args = append(args, flagged("--addtag", origin.Tags)...)
	if err := m.change(ctx, "lvcreate", append(args, r.to.snapshot.String())...); err != nil {
		return fmt.Errorf("make %s from %s: %w", r.fresh(), r.to.snapshot, err)
	}
	if origin.AutoActivation {
		return nil
	}
	if err := m.change(ctx, "lvchange", "--setautoactivation", "n", r.fresh().String()); err != nil {
		return fmt.Errorf("set up %s: %w", r.fresh(), err)
	}
	return nil
}

func (m *Method) dropFresh(ctx context.Context, r revert) error {
	g, err := m.group(ctx, r.to.origin.group)
	if err != nil || !g.has(r.fresh().volume) || !g.has(r.to.origin.volume) {
		return err
	}
	return m.remove(ctx, r.fresh())
}

// shelve makes the kept volume what Take would have made: inactive, read-only, tagged as a snapshot.
func (m *Method) shelve(ctx context.Context, r revert, g group) error {
	if r.keep == nil {
		return nil
	}
	kept, ok := g.find(r.keep.snapshot.volume)
	if !ok {
		return fmt.Errorf("find kept volume %s: %w", r.keep.snapshot, methods.ErrNotFound)
	}
	if kept.Active {
		if err := m.change(ctx, "lvchange", "--activate", "n", r.keep.snapshot.String()); err != nil {
			return fmt.Errorf("deactivate %s: %w", r.keep.snapshot, err)
		}
	}
	if err := m.change(ctx, "lvchange", r.shelveArgs(kept)...); err != nil {
		return fmt.Errorf("mark %s as a snapshot: %w", r.keep.snapshot, err)
	}
	return nil
}

func (r revert) shelveArgs(kept volume) []string {
	args := []string{"--setactivationskip", "y"}
	if !kept.readOnly() {
		args = append(args, "--permission", "r")
	}
	wanted := words(tags(*r.Keep))
	var foreign []string
	for _, tag := range kept.Tags {
		if !wanted.has(tag) {
			foreign = append(foreign, tag)
		}
	}
	args = append(args, flagged("--deltag", foreign)...)
	args = append(args, flagged("--addtag", wanted)...)
	return append(args, r.keep.snapshot.String())
}

func (m *Method) rename(ctx context.Context, from, to name) error {
	if err := m.change(ctx, "lvrename", from.group, from.volume, to.volume); err != nil {
		return fmt.Errorf("rename %s to %s: %w", from, to.volume, err)
	}
	return nil
}

func permission(v volume) string {
	if v.readOnly() {
		return "r"
	}
	return "rw"
}

func yesNo(yes bool) string {
	if yes {
		return "y"
	}
	return "n"
}
