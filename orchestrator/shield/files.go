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

// Files are the files of overlays.
type Files interface {
	Contents
	// Make makes the file of an overlay, which is empty, durably. A file of this name must not be there.
	Make(ctx context.Context, o Overlay) error
	// Remove removes the files of overlays, durably. One that is not there is no error.
	Remove(all []Overlay) error
	// MakeAnchor makes an image of a format that QEMU does not migrate, and gives its path.
	MakeAnchor(ctx context.Context) (string, error)
	// RemoveAnchor removes it. Where there is none that is no error.
	RemoveAnchor() error
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
	if err := f.make(o.File, func(file *os.File) error {
		if _, err := f.Run.Run(ctx, qemuImg, "create", "-q", "-u", "-f", "qcow2", "-F", o.Disk.Format, "-b", base,
			image.Itself(file), strconv.FormatInt(o.Size, 10)); err != nil {
			return err
		}
		return image.CheckOverlay(file, base, o.Disk.Format)
	}); err != nil {
		return fmt.Errorf("make overlay %s: %w", o.File, err)
	}
	above := filepath.Dir(f.Dir)
	return errors.Join(durable.Disk{Dir: f.Dir}.Sync(), durable.Disk{Dir: above}.Sync(), durable.Disk{Dir: filepath.Dir(above)}.Sync())
}

// make makes a file that is the domain's QEMU's.
func (f Folder) make(path string, fill func(*os.File) error) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := fill(file); err != nil {
		return err
	}
	return errors.Join(f.label(file), file.Sync())
}

// MakeAnchor implements Files.
func (f Folder) MakeAnchor(ctx context.Context) (string, error) {
	return f.anchor(), f.make(f.anchor(), func(file *os.File) error {
		_, err := f.Run.Run(ctx, qemuImg, "create", "-q", "-f", AnchorFormat, image.Itself(file), "1M")
		return err
	})
}

// AnchorFormat is the format of the anchor: one that every QEMU can read, and none can migrate with.
const AnchorFormat = "vpc"

func (f Folder) anchor() string { return filepath.Join(f.Dir, "anchor."+AnchorFormat) }

// RemoveAnchor implements Files.
func (f Folder) RemoveAnchor() error { return remove(f.anchor()) }

func remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
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

// Remove implements Files. A disk that stays has its overlay beside it.
func (f Folder) Remove(all []Overlay) error {
	var errs []error
	dirs := map[string]bool{}
	for _, o := range all {
		if err := f.check(o); err != nil && !o.Stays {
			return err
		}
		errs = append(errs, remove(o.File))
		dirs[filepath.Dir(o.File)] = true
	}
	for dir := range dirs {
		errs = append(errs, syncDir(dir))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, o := range all {
		errs = append(errs, remove(f.known(o)))
	}
	return errors.Join(errs...)
}

// syncDir does so with a directory that need not be there.
func syncDir(dir string) error {
	err := durable.Disk{Dir: dir}.Sync()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
