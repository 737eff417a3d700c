package shield

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/orchestrator/durable"
)

// Contents are what is in overlays.
type Contents interface {
	// Written says whether something is in the overlay that only it has. One that is not there has nothing, nor has one of
	// which libvirt knows.
	Written(o Overlay) (bool, error)
	// Known notes, durably, that libvirt knows the overlay and writes the definition by itself.
	Known(o Overlay) error
	// Empty empties overlays that no disk is on, durably and at once.
	Empty(all []Overlay) error
	// Commit brings an overlay's content into its disk and empties it, nobody having it open: it fails where somebody has
	// either open. One that is not there has nothing.
	Commit(ctx context.Context, o Overlay) error
	// Unused fails with methods.ErrBlocked while somebody has the overlay open.
	Unused(ctx context.Context, o Overlay) error
}

// known is a file that is there where libvirt knows the overlay.
func (f Folder) known(o Overlay) string { return filepath.Join(f.Dir, o.Node+".known") }

// Known implements Contents.
func (f Folder) Known(o Overlay) error {
	return durable.Replace(durable.Disk{Dir: f.Dir}, filepath.Base(f.known(o)), nil)
}

// Written implements Contents.
func (f Folder) Written(o Overlay) (bool, error) {
	if _, err := os.Lstat(f.known(o)); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	var written bool
	err := begun(o.File, os.O_RDONLY, func(file *os.File) (err error) {
		written, err = image.Written(file)
		return err
	})
	return written, err
}

// Empty implements Contents. Nothing but what is written here is waited for: what the guest has written into the overlay
// may be much, and need not get to the storage any more.
func (f Folder) Empty(all []Overlay) error {
	for _, o := range all {
		err := begun(o.File, os.O_RDWR|syscall.O_DSYNC, func(file *os.File) error { return image.Empty(file) })
		if err != nil {
			return fmt.Errorf("empty overlay %s: %w", o.File, err)
		}
	}
	return nil
}

// begun opens an overlay, unless it is not there, or who made it was killed meanwhile.
func begun(path string, flags int, do func(*os.File) error) error {
	file, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if begun, err := image.IsQcow2(file); err != nil || !begun {
		return err
	}
	return do(file)
}

// Unused implements Contents, by QEMU's locks.
func (f Folder) Unused(ctx context.Context, o Overlay) error {
	if _, err := os.Lstat(o.File); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := f.Run.Run(ctx, qemuImg, "info", "--output=json", "-f", "qcow2", o.File); err != nil {
		return methods.Blockedf("%s may be in use: %v", o.File, err)
	}
	return nil
}

// Commit implements Contents. QEMU's locks keep others out.
func (f Folder) Commit(ctx context.Context, o Overlay) error {
	if err := f.check(o); err != nil && !o.Stays {
		return err
	}
	if _, err := os.Lstat(o.File); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	name, err := image.Overlay(ctx, o.File, image.Image{Source: o.Disk.Source, Format: o.Disk.Format})
	if err != nil {
		return err
	}
	if _, err := f.Run.Run(ctx, qemuImg, "commit", "-q", name); err != nil {
		return fmt.Errorf("commit overlay %s: %w", o.File, err)
	}
	return nil
}
