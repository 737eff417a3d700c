// Package fullcopy snapshots a disk of any kind by copying all of it into a sparse raw file. A guest that runs is
// held for the beginning of the copy only: it writes elsewhere meanwhile, or libvirt's backup job copies what it is about to
// overwrite first.
package fullcopy

import (
	"context"
	"encoding/xml"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

// Name is what descriptors call the method.
const Name = "copy"

// Config is what a Method is made of.
type Config struct {
	Hypervisor Hypervisor
	Run        command.Runner
	// Dir is where copies of disks go that are not files, below it a directory for each domain.
	Dir string
	// Progress gives who is told how far a step is that takes long; may be nil.
	Progress func(step string) methods.Progress
}

// Method copies disks. A Ref's Name is the copy.
type Method struct {
	Config
}

// New makes the method.
func New(c Config) *Method {
	return &Method{c}
}

// Traits implements methods.Method.
func (*Method) Traits() methods.Traits {
	return methods.Traits{
		Name: Name, Summary: "a full sparse copy of a disk of any kind in a raw file",
		Atomic: true, HoldsJob: true,
		TakeCost: methods.CostSize, RevertCost: methods.CostSize,
	}
}

// Check implements methods.Checker.
func (*Method) Check(context.Context) error {
	if command.Missing(qemuImg) != "" {
		return methods.Unsupportedf("%s is missing: install qemu-utils", qemuImg)
	}
	return nil
}

// Claim implements methods.Claimer.
func (*Method) Claim(_ context.Context, d methods.Disk) methods.Claim {
	if d.Source.String() == "" {
		return methods.Claim{}
	}
	return methods.Claim{Rank: methods.RankLast, Why: "no other method knows this disk: copied in full"}
}

// options is the body of <diskSnapshot method='copy'>.
type options struct {
	Directory *struct {
		Path string `xml:"path,attr" domsnap:"required"`
	} `xml:"directory"`
}

// directory is the one that was named, now or for an earlier copy; empty for none.
func (o options) directory(like *methods.Ref) string {
	switch {
	case o.Directory != nil:
		return o.Directory.Path
	case like != nil:
		return filepath.Dir(like.Name)
	default:
		return ""
	}
}

// Plan implements methods.Method.
func (m *Method) Plan(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	var opts options
	if err := methods.Decode(req.Spec, &opts); err != nil {
		return methods.Ref{}, err
	}
	name, err := m.fileName(req, opts)
	if err != nil {
		return methods.Ref{}, err
	}
	if err := absent(name); err != nil {
		return methods.Ref{}, err
	}
	size, err := m.size(ctx, req.Disk)
	if err != nil {
		return methods.Ref{}, fmt.Errorf("find the size of disk %s: %w", req.Disk.Target, err)
	}
	if err := checkRoom(filepath.Dir(name), size.needed); err != nil {
		return methods.Ref{}, err
	}
	return methods.Ref{
		Snapshot: req.ID, Method: Name, Disk: req.Disk,
		Origin: req.Disk.Source.String(), Name: name, Size: size.capacity,
	}, nil
}

// fileName is DIR/ds-ID-TARGET.raw.
func (m *Method) fileName(req methods.PlanRequest, opts options) (string, error) {
	object, err := methods.ObjectName(req.ID, req.Disk.Target)
	if err != nil {
		return "", err
	}
	dir := m.directory(req.Disk)
	if named := opts.directory(req.Like); named != "" && !m.made(named) {
		dir = named
		if err := checkNamed(dir); err != nil {
			return "", err
		}
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("find a place for the copy: %q is not an absolute path", dir)
	}
	return filepath.Join(dir, object+suffix), nil
}

// Stat implements methods.Method. What is not finished has another name.
func (m *Method) Stat(_ context.Context, ref methods.Ref) (methods.Info, error) {
	f, info, err := m.openCopy(ref)
	if err != nil {
		return methods.Info{}, fmt.Errorf("find copy %s: %w", ref.Name, err)
	}
	return methods.Info{BytesUsed: allocated(info)}, f.Close()
}

// Open implements methods.Method.
func (m *Method) Open(_ context.Context, ref methods.Ref) (methods.Content, error) {
	f, _, err := m.openCopy(ref)
	if err != nil {
		return nil, fmt.Errorf("open copy %s: %w", ref.Name, err)
	}
	return methods.Bounded(f, ref.Size), nil
}

// Source implements methods.Sourcer.
func (*Method) Source(_ context.Context, ref methods.Ref) (methods.BackupSource, error) {
	if err := checkName(ref); err != nil {
		return methods.BackupSource{}, err
	}
	var escaped strings.Builder
	if err := xml.EscapeText(&escaped, []byte(ref.Name)); err != nil {
		return methods.BackupSource{}, err
	}
	return methods.BackupSource{XML: fmt.Sprintf("<source file='%s'/>", escaped.String()), URI: ref.Name, Format: raw}, nil
}

var (
	_ methods.Method      = (*Method)(nil)
	_ methods.Claimer     = (*Method)(nil)
	_ methods.Checker     = (*Method)(nil)
	_ methods.Preparer    = (*Method)(nil)
	_ methods.Sourcer     = (*Method)(nil)
	_ methods.Lister      = (*Method)(nil)
	_ methods.DropChecker = (*Method)(nil)
)
