// Package image opens disks and images, whatever they are made of: raw files and devices as they are, everything else
// through QEMU's own drivers.
package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// InspectTimeout is far more than a tool takes to read headers, also those that were made to take long.
const InspectTimeout = 30 * time.Second

// Itself is a name of the open file for another process, whatever is at its own name by then.
func Itself(f *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }

// Image is something that QEMU could use as a disk.
type Image struct {
	Source methods.Source
	// Format is what the content is, never what it looks like.
	Format string
	// Snapshot is the name of an internal snapshot to read instead of the active content; for formats that have them.
	Snapshot string
}

// Access opens disks for the generic revert.
type Access struct{}

// OpenDisk implements methods.Disks.
func (Access) OpenDisk(ctx context.Context, d methods.Disk) (methods.Writable, error) {
	if d.Domain.Active {
		return nil, &methods.Blocked{What: fmt.Sprintf("domain %s is active", d.Domain.Name), Hint: "shut it down first"}
	}
	return open(ctx, Image{Source: d.Source, Format: d.Format}, os.O_RDWR)
}

// Open opens an image for reading. It changes nothing, and nobody else needs to have closed it.
func Open(ctx context.Context, i Image) (methods.Content, error) {
	return open(ctx, i, os.O_RDONLY)
}

func open(ctx context.Context, i Image, mode int) (methods.Writable, error) {
	if path := i.Source.Path(); path != "" && i.Format == "raw" && i.Snapshot == "" {
		return openRaw(path, mode)
	}
	return serve(ctx, i, mode)
}

// rawFile is a raw file or a block device.
type rawFile struct {
	methods.File
	size int64
}

func openRaw(path string, mode int) (methods.Writable, error) {
	f, err := os.OpenFile(path, mode|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open %s: %w", path, methods.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	// A block device has no size in its inode; its end tells.
	size, err := f.Seek(0, 2)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("find the end of %s: %w", path, err), f.Close())
	}
	return &rawFile{methods.File{File: f}, size}, nil
}

// Size implements methods.Content.
func (f *rawFile) Size() int64 { return f.size }
