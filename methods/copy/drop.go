package fullcopy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// Drop implements methods.Method. A copy at work may still be written by libvirt, also when who began it is gone.
func (m *Method) Drop(ctx context.Context, req methods.DropRequest) (err error) {
	ref := req.Ref
	if err := ctx.Err(); err != nil {
		return err
	}
	in, err := m.folderOf(ref)
	if in == nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if err := m.endCopy(ctx, in, ref); err != nil {
		return fmt.Errorf("end the copy into %s: %w", partial(ref), err)
	}
	if err := in.remove(filepath.Base(partial(ref)), filepath.Base(ref.Name)); err != nil {
		return err
	}
	return in.removeEmpty()
}

// CheckDrop implements methods.DropChecker.
func (m *Method) CheckDrop(_ context.Context, req methods.DropRequest) error {
	in, err := m.folderOf(req.Ref)
	if in == nil {
		return err
	}
	return in.Close()
}

// folderOf opens the directory that the copy is in; nil where there is none.
func (m *Method) folderOf(ref methods.Ref) (*folder, error) {
	if err := checkName(ref); err != nil {
		return nil, err
	}
	in, err := m.openFolder(filepath.Dir(ref.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find copy %s: %w", ref.Name, err)
	}
	return in, nil
}

func (m *Method) endCopy(ctx context.Context, in *folder, ref methods.Ref) error {
	atWork, err := in.has(filepath.Base(partial(ref)))
	if err != nil || !atWork {
		return err
	}
	return m.Hypervisor.AbortBackup(ctx, ref.Disk.Domain.UUID, partial(ref))
}

// checkName refuses a record that names anything but a copy of its own disk and snapshot.
func checkName(ref methods.Ref) error {
	object, err := methods.ObjectName(ref.Snapshot, ref.Disk.Target)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(ref.Name) || filepath.Clean(ref.Name) != ref.Name || filepath.Base(ref.Name) != object+suffix {
		return fmt.Errorf("check copy %q: it is not named as one", ref.Name)
	}
	return nil
}

// List implements methods.Lister. Copies at a place that a descriptor named are not found.
func (m *Method) List(_ context.Context, disk methods.Disk) ([]string, error) {
	entries, err := os.ReadDir(m.directory(disk))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list copies: %w", err)
	}
	var names []string
	for _, e := range entries {
		object, _, ours := strings.Cut(e.Name(), suffix)
		if ours && strings.HasPrefix(object, "ds-") && strings.HasSuffix(object, "-"+disk.Target) && !slices.Contains(names, object) {
			names = append(names, object)
		}
	}
	return names, nil
}
