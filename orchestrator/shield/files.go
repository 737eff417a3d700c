package shield

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/orchestrator/durable"
	"github.com/domsnap/domsnap/xmlspec"
)

const qemuImg = "qemu-img"

// Files make and remove the files of overlays.
type Files interface {
	// Make makes the file of an overlay, which is empty, durably. A file of this name must not be there.
	Make(ctx context.Context, o Overlay) error
	// Commit brings an overlay's content into its disk, the domain being off. It fails where somebody has either open.
	Commit(ctx context.Context, o Overlay) error
	// Unused fails with methods.ErrBlocked while somebody has the overlay open.
	Unused(ctx context.Context, o Overlay) error
	// Remove removes the file of an overlay that nothing uses any more, durably. One that is not there is no error.
	Remove(o Overlay) error
}

// Folder has the overlays of one domain, in a directory of their own that QEMU's user gets through to.
type Folder struct {
	Dir string
	Run command.Runner
	// Labels are what libvirt's security drivers want of a file that the domain opens.
	Labels []xmlspec.Label
}

// Make implements Files.
func (f Folder) Make(ctx context.Context, o Overlay) error {
	if err := f.check(o); err != nil {
		return err
	}
	base, err := baseName(ctx, o.Disk)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.Dir, 0o711); err != nil {
		return fmt.Errorf("make the directory of overlays: %w", err)
	}
	file, err := os.OpenFile(o.File, os.O_CREATE|os.O_EXCL|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("make overlay: %w", err)
	}
	defer file.Close()
	if _, err := f.Run.Run(ctx, qemuImg, "create", "-q", "-u", "-f", "qcow2", "-F", o.Disk.Format, "-b", base,
		image.Itself(file), strconv.FormatInt(o.Size, 10)); err != nil {
		return fmt.Errorf("make overlay %s: %w", o.File, err)
	}
	if err := errors.Join(image.CheckOverlay(file, base, o.Disk.Format), f.label(file)); err != nil {
		return fmt.Errorf("make overlay %s: %w", o.File, err)
	}
	above := filepath.Dir(f.Dir)
	return errors.Join(file.Sync(), durable.Disk{Dir: f.Dir}.Sync(), durable.Disk{Dir: above}.Sync(), durable.Disk{Dir: filepath.Dir(above)}.Sync())
}

// baseName is what the header says is below: a path, or else words that QEMU's tools understand.
func baseName(ctx context.Context, d methods.Disk) (string, error) {
	if path := d.Source.Path(); path != "" {
		return path, nil
	}
	return image.Image{Source: d.Source, Format: d.Format}.QEMUName(ctx, false)
}

// check refuses an overlay that is not one of these.
func (f Folder) check(o Overlay) error {
	if filepath.Dir(o.File) != f.Dir || filepath.Ext(o.File) != suffix {
		return methods.Blockedf("%q is not the overlay of a shield", o.File)
	}
	return nil
}

const suffix = ".qcow2"

// label gives the file to the domain's QEMU, as libvirt gives it the disks.
func (f Folder) label(file *os.File) error {
	for _, l := range f.Labels {
		var err error
		switch l.Model {
		case "dac":
			err = chown(file, l.Image)
		case "selinux":
			err = unix.Fsetxattr(int(file.Fd()), "security.selinux", []byte(l.Image), 0)
		}
		if err != nil {
			return fmt.Errorf("give it the label %q: %w", l.Image, err)
		}
	}
	return nil
}

// chown reads libvirt's "+UID:+GID".
func chown(file *os.File, label string) error {
	user, group, _ := strings.Cut(label, ":")
	uid, err := strconv.Atoi(strings.TrimPrefix(user, "+"))
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(strings.TrimPrefix(group, "+"))
	if err != nil {
		return err
	}
	return file.Chown(uid, gid)
}

// Remove implements Files.
func (f Folder) Remove(o Overlay) error {
	if err := f.check(o); err != nil {
		return err
	}
	err := os.Remove(o.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, durable.Disk{Dir: f.Dir}.Sync())
}

// Unused implements Files, by QEMU's locks.
func (f Folder) Unused(ctx context.Context, o Overlay) error {
	if _, err := f.Run.Run(ctx, qemuImg, "info", "--output=json", "-f", "qcow2", o.File); err != nil {
		return methods.Blockedf("%s may be in use: %v", o.File, err)
	}
	return nil
}

// Commit implements Files. QEMU's locks keep others out. A disk that stays has its overlay beside it.
func (f Folder) Commit(ctx context.Context, o Overlay) error {
	if err := f.check(o); err != nil && !o.Stays {
		return err
	}
	name, err := image.Overlay(ctx, o.File, image.Image{Source: o.Disk.Source, Format: o.Disk.Format})
	if err != nil {
		return err
	}
	if _, err := f.Run.Run(ctx, qemuImg, "commit", "-q", "-d", name); err != nil {
		return fmt.Errorf("commit overlay %s: %w", o.File, err)
	}
	return nil
}
