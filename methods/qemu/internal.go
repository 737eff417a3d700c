package qemu

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/image"
)

// Internal takes snapshots inside qcow2 images. A Ref's Origin is the file, its Name that of the snapshot in it.
type Internal struct {
	hypervisor InternalHypervisor
	images     images
}

// NewInternal makes the method.
func NewInternal(h InternalHypervisor, run command.Runner) *Internal {
	return &Internal{hypervisor: h, images: images{run}}
}

// Traits implements methods.Method. QEMU counts every cluster of the image anew, for a snapshot as for a revert.
func (*Internal) Traits() methods.Traits {
	return methods.Traits{
		Name: Name, Mode: internal, Summary: "inside the qcow2 image, all disks in one QEMU transaction",
		Atomic: true, TakeCost: methods.CostSize, RevertCost: methods.CostSize,
	}
}

// Check implements methods.Checker.
func (*Internal) Check(context.Context) error { return haveQemuImg() }

// Plan implements methods.Method.
func (m *Internal) Plan(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	if err := checkInternalOptions(req.Spec); err != nil {
		return methods.Ref{}, err
	}
	name, err := methods.ObjectName(req.ID, req.Disk.Target)
	if err != nil {
		return methods.Ref{}, err
	}
	path := req.Disk.Source.Path()
	if path == "" || req.Disk.Format != qcow2 {
		return methods.Ref{}, methods.Unsupportedf("disk %s (%s, format %q) is not a qcow2 image in a file or on a block device",
			req.Disk.Target, req.Disk.Source, req.Disk.Format)
	}
	// Those below are opened with it.
	chain, err := m.images.chain(ctx, Image{path, qcow2})
	if err != nil {
		return methods.Ref{}, err
	}
	now := chain[0]
	if err := now.takes(name); err != nil {
		return methods.Ref{}, err
	}
	return methods.Ref{
		Snapshot: req.ID, Method: Name, Mode: internal, Disk: req.Disk,
		Origin: path, Name: name, Size: now.Size, Lock: "qemu:" + req.Disk.Domain.UUID,
	}, nil
}

func checkInternalOptions(spec methods.Spec) error {
	var opts options
	if err := methods.Decode(spec, &opts); err != nil {
		return err
	}
	if opts.Mode != "" && opts.Mode != internal {
		return methods.Unsupportedf("mode %q is not for internal snapshots", opts.Mode)
	}
	if opts.Source != nil {
		return methods.Unsupportedf("an internal snapshot has no file of its own: leave out <source>")
	}
	return nil
}

// takes says whether the image can have a snapshot of this name.
func (l layer) takes(name string) error {
	if l.Encrypted {
		return methods.Unsupportedf("%s is encrypted, and without its secret there are no internal snapshots of it", l.Path)
	}
	if slices.ContainsFunc(l.Internal, func(s internalEntry) bool { return s.Name == name }) {
		return fmt.Errorf("plan internal snapshot %s of %s: %w", name, l.Path, methods.ErrExists)
	}
	return nil
}

// find is the snapshot of a ref as the image has it, and the image.
func (m *Internal) find(ctx context.Context, ref methods.Ref) (internalEntry, layer, error) {
	if err := recordedInside(ref); err != nil {
		return internalEntry{}, layer{}, err
	}
	now, err := m.images.infoOf(ctx, Image{ref.Origin, qcow2})
	if err != nil {
		return internalEntry{}, layer{}, err
	}
	found, err := now.inside(ref.Name)
	return found, now, err
}

// Stat implements methods.Method.
func (m *Internal) Stat(ctx context.Context, ref methods.Ref) (methods.Info, error) {
	_, _, err := m.find(ctx, ref)
	return methods.Info{BytesUsed: -1}, err
}

// Open implements methods.Method.
func (m *Internal) Open(ctx context.Context, ref methods.Ref) (methods.Content, error) {
	if _, err := m.Stat(ctx, ref); err != nil {
		return nil, err
	}
	c, err := image.Open(ctx, image.Image{Source: ref.Disk.Source, Format: qcow2, Snapshot: ref.Name})
	if err != nil {
		return nil, err
	}
	// Of a snapshot in an image that has grown since, QEMU shows as much as there is now.
	return methods.Bounded(c, ref.Size), nil
}

// List implements methods.Lister: the disk may run on an overlay of the file by now.
func (m *Internal) List(ctx context.Context, d methods.Disk) ([]string, error) {
	if supported(d) != nil {
		return nil, nil
	}
	chain, err := m.images.chain(ctx, Image{d.Source.Path(), d.Format})
	if err != nil {
		return nil, err
	}
	own := regexp.MustCompile(`^ds-[a-z][a-z0-9]*-` + regexp.QuoteMeta(d.Target) + `$`)
	var names []string
	for _, l := range chain {
		for _, s := range l.Internal {
			if own.MatchString(s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

var (
	_ methods.Method   = (*Internal)(nil)
	_ methods.Checker  = (*Internal)(nil)
	_ methods.Preparer = (*Internal)(nil)
	_ methods.Merger   = (*Internal)(nil)
	_ methods.Reverter = (*Internal)(nil)
	_ methods.Lister   = (*Internal)(nil)
)
