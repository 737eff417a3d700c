package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/domsnap/domsnap/xmlspec"
)

// MirrorResult says which snapshots libvirt shows.
type MirrorResult struct {
	Domain string   `json:"domain"`
	Mirror bool     `json:"mirror"`
	Shown  []string `json:"shown"`
}

// Mirror has libvirt show the domain's snapshots among its own from now on, or not any more. It is ErrRefused while
// libvirt has snapshots that others have made: of two with one name nobody could tell which is meant.
func (o *Orchestrator) Mirror(ctx context.Context, domain string, on bool) (_ *MirrorResult, err error) {
	ctx, op, err := o.begin(ctx, domain)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	if on && !op.lineage.Mirror {
		if err := op.checkNoneShown(ctx); err != nil {
			return nil, err
		}
	}
	shown, err := op.mirror(ctx, on)
	return &MirrorResult{Domain: op.desc.Name, Mirror: on, Shown: nonNil(shown)}, err
}

// mirror shows before it is recorded that it does, and when that does not work shows nothing.
func (op *operation) mirror(ctx context.Context, on bool) ([]string, error) {
	op.lineage.Mirror = on
	shown, err := op.reflect(ctx)
	if err == nil {
		err = op.commit(ctx)
	}
	if err == nil || !on {
		return shown, err
	}
	op.lineage.Mirror = false
	_, hideErr := op.reflect(context.WithoutCancel(ctx))
	return nil, &Problem{Kind: ErrFailed, Err: errors.Join(err, hideErr)}
}

// checkNotShown: of two snapshots with one name nobody could tell which is meant.
func (op *operation) checkNotShown(ctx context.Context, name string) error {
	if !op.lineage.Mirror {
		return nil
	}
	names, err := op.domain.Shown(ctx)
	if err == nil && slices.Contains(names, name) {
		err = refuse("choose another name, or delete that one with virsh", "libvirt has a snapshot %q of its own", name)
	}
	return err
}

func (op *operation) checkNoneShown(ctx context.Context) error {
	names, err := op.domain.Shown(ctx)
	if err != nil || len(names) == 0 {
		return err
	}
	return refuse("delete them, with: virsh snapshot-delete "+op.desc.Name, "libvirt has snapshots of its own: %s", strings.Join(names, ", "))
}

// toShow are the snapshots that libvirt is to show, parents first.
func (op *operation) toShow() []xmlspec.LineageSnapshot {
	if !op.lineage.Mirror {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(op.lineage.Snapshots), func(s xmlspec.LineageSnapshot) bool { return s.State != "" })
}

// reflect has libvirt show what it is to show, and nothing else of ours. It gives the names.
func (op *operation) reflect(ctx context.Context) ([]string, error) {
	shown, err := op.domain.Shown(ctx)
	if err != nil {
		return nil, err
	}
	all := op.toShow()
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	for _, name := range shown {
		if !slices.Contains(names, name) {
			if err := op.domain.Hide(ctx, name); err != nil {
				return nil, err
			}
		}
	}
	return names, op.showAll(ctx, slices.DeleteFunc(all, func(s xmlspec.LineageSnapshot) bool { return slices.Contains(shown, s.Name) }))
}

func (op *operation) showAll(ctx context.Context, all []xmlspec.LineageSnapshot) error {
	if len(all) == 0 {
		return nil
	}
	d, definition, err := op.definition(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		r := xmlspec.Reflection{
			Name: s.Name, Description: s.Description, Created: time.Unix(s.Created, 0), Parent: op.shownParent(s), Definition: definition,
		}
		for _, d := range d.Disks {
			r.Disks = append(r.Disks, d.Target)
		}
		if err := op.domain.Show(ctx, r); err != nil {
			return fmt.Errorf("show snapshot %s: %w", s.Name, err)
		}
	}
	return nil
}

// shownParent is the next ancestor that libvirt shows.
func (op *operation) shownParent(s xmlspec.LineageSnapshot) string {
	for parent := op.byID(s.Parent); parent != nil; parent = op.byID(parent.Parent) {
		if parent.State == "" {
			return parent.Name
		}
	}
	return ""
}
