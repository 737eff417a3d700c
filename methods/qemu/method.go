// Package qemu snapshots disks by QEMU's own means. Method does it by external overlays: the disk goes on in a new qcow2
// file, and what it wrote to until then is the snapshot. Internal does it inside the disk's own qcow2 file.
package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

// Name is what descriptors call the method.
const Name = "qemu"

// The modes, as descriptors and records have them.
const (
	external = "external"
	internal = "internal"
)

// maxChain is how long a backing chain may grow. libvirt gives up at 200 layers; every read goes through them.
const maxChain = 100

// Method takes external snapshots. A Ref's Name is the image that the disk wrote to, its Active the overlay.
type Method struct {
	hypervisor Hypervisor
	images     images
	// free is freeBeside.
	free func(path string, byQEMU bool) (int64, error)
}

// New makes the method.
func New(h Hypervisor, run command.Runner) *Method {
	return &Method{hypervisor: h, images: images{run}, free: freeBeside}
}

// Traits implements methods.Method.
func (*Method) Traits() methods.Traits {
	return methods.Traits{
		Name: Name, Summary: "a qcow2 overlay for each disk, all in one QEMU transaction",
		MovesSource: true, Atomic: true,
		TakeCost: methods.CostNothing, RevertCost: methods.CostNothing,
	}
}

// Check implements methods.Checker.
func (*Method) Check(context.Context) error { return haveQemuImg() }

func haveQemuImg() error {
	if command.Missing(qemuImg) != "" {
		return methods.Unsupportedf("qemu-img is missing: install qemu-utils")
	}
	return nil
}

// Claim implements methods.Claimer.
func (*Method) Claim(_ context.Context, d methods.Disk) methods.Claim {
	switch {
	case d.Source.File == "":
		return methods.Claim{}
	case d.Format == qcow2:
		return methods.Claim{Rank: methods.RankNative, Why: "a qcow2 file"}
	case d.Format == raw:
		return methods.Claim{Rank: methods.RankUsable, Why: "a raw file on a file system that cannot share extents"}
	default:
		return methods.Claim{}
	}
}

// options is the body of <diskSnapshot method='qemu'>.
type options struct {
	Mode   string `xml:"mode,attr"`
	Source *struct {
		File string `xml:"file,attr"`
	} `xml:"source"`
}

// Plan implements methods.Method.
func (m *Method) Plan(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	var opts options
	if err := methods.Decode(req.Spec, &opts); err != nil {
		return methods.Ref{}, err
	}
	if opts.Mode != "" && opts.Mode != external {
		return methods.Ref{}, methods.Unsupportedf("there are no qemu snapshots of mode %q: choose external or internal", opts.Mode)
	}
	if err := supported(req.Disk); err != nil {
		return methods.Ref{}, err
	}
	overlay, err := overlayPath(req, opts)
	if err != nil {
		return methods.Ref{}, err
	}
	return m.plan(ctx, req, overlay)
}

func (m *Method) plan(ctx context.Context, req methods.PlanRequest, overlay string) (methods.Ref, error) {
	path := req.Disk.Source.Path()
	if _, err := os.Lstat(overlay); !errors.Is(err, fs.ErrNotExist) {
		return methods.Ref{}, fmt.Errorf("plan overlay %s: %w", overlay, methods.ErrExists)
	}
	chain, err := m.images.chain(ctx, Image{path, req.Disk.Format})
	if err != nil {
		return methods.Ref{}, err
	}
	if len(chain) >= maxChain {
		return methods.Ref{}, &methods.Blocked{
			What: fmt.Sprintf("%s has %d layers", path, len(chain)),
			Hint: "delete old snapshots of this disk first",
		}
	}
	return methods.Ref{
		Snapshot: req.ID, Method: Name, Mode: external, Disk: req.Disk,
		Origin: path, Name: path, Active: overlay, Size: chain[0].Size, Lock: "qemu:" + req.Disk.Domain.UUID,
	}, nil
}

func supported(d methods.Disk) error {
	if d.Source.Path() == "" {
		return methods.Unsupportedf("disk %s (%s) is neither a file nor a block device", d.Target, d.Source)
	}
	if d.Format != qcow2 && d.Format != raw {
		return methods.Unsupportedf("disk %s has format %q: only raw and qcow2 can be the base of an overlay", d.Target, d.Format)
	}
	return nil
}

// ownSuffix is what earlier snapshots put at the end of a file's name.
var ownSuffix = regexp.MustCompile(`\.ds-[a-z][a-z0-9]*-[a-z][a-z0-9]*$`)

// overlayPath is STEM.ds-ID-TARGET.qcow2 beside the image, unless the descriptor names a place.
func overlayPath(req methods.PlanRequest, opts options) (string, error) {
	if opts.Source != nil {
		if !filepath.IsAbs(opts.Source.File) || filepath.Clean(opts.Source.File) != opts.Source.File {
			return "", methods.Unsupportedf("overlay %q is not a plain absolute path", opts.Source.File)
		}
		return opts.Source.File, nil
	}
	if req.Disk.Source.Dev != "" {
		return "", &methods.Blocked{
			What: fmt.Sprintf("disk %s is a block device, which has no place for an overlay beside it", req.Disk.Target),
			Hint: "name one in the descriptor: <source file='/path/overlay.qcow2'/>",
		}
	}
	return beside(req.Disk, req.ID)
}

func beside(d methods.Disk, id string) (string, error) {
	object, err := methods.ObjectName(id, d.Target)
	if err != nil {
		return "", err
	}
	return stem(d.Source.Path()) + "." + object + ".qcow2", nil
}

// Stat implements methods.Method. An image is a snapshot as soon as the disk writes somewhere else.
func (m *Method) Stat(ctx context.Context, ref methods.Ref) (methods.Info, error) {
	if err := recorded(ref); err != nil {
		return methods.Info{}, err
	}
	active, err := m.hypervisor.ActiveSource(ctx, ref.Disk.Domain.UUID, ref.Disk.Target)
	if err != nil {
		return methods.Info{}, err
	}
	if active == ref.Name {
		return methods.Info{}, untaken(ref)
	}
	if _, err := os.Stat(ref.Name); err != nil {
		return methods.Info{}, fmt.Errorf("find image %s: %w", ref.Name, notFound(err))
	}
	return methods.Info{BytesUsed: -1}, nil
}

func untaken(ref methods.Ref) error {
	return fmt.Errorf("find snapshot of %s: the disk still writes to it: %w", ref.Name, methods.ErrNotFound)
}

func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return methods.ErrNotFound
	}
	return err
}

// Source implements methods.Sourcer.
func (*Method) Source(_ context.Context, ref methods.Ref) (methods.BackupSource, error) {
	if err := recorded(ref); err != nil {
		return methods.BackupSource{}, err
	}
	kind, attr := "file", ref.Name
	if ref.Disk.Source.Dev != "" {
		kind = "dev"
	}
	return methods.BackupSource{
		XML: fmt.Sprintf("<source %s='%s'/>", kind, escape(attr)), URI: ref.Name, Format: ref.Disk.Format,
	}, nil
}

var (
	_ methods.Method   = (*Method)(nil)
	_ methods.Sourcer  = (*Method)(nil)
	_ methods.Claimer  = (*Method)(nil)
	_ methods.Checker  = (*Method)(nil)
	_ methods.Preparer = (*Method)(nil)
	_ methods.Merger   = (*Method)(nil)
	_ methods.Reverter = (*Method)(nil)
	_ methods.Keeper   = (*Method)(nil)
	_ methods.Differ   = (*Method)(nil)
	_ methods.Lister   = (*Method)(nil)
	_ methods.Warner   = (*Method)(nil)
)
