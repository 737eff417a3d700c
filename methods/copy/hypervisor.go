package fullcopy

import (
	"context"

	"github.com/domsnap/domsnap/methods"
)

// Hypervisor is what the method asks of libvirt about a domain that is active. Domains are named by UUID, disks by
// target.
type Hypervisor interface {
	// Capacity is the disk's size in bytes, as the guest sees it. It fails with ErrBlocked while another job keeps
	// libvirt from copying the disk.
	Capacity(ctx context.Context, uuid, target string) (int64, error)
	// ReadyBackup makes ready to copy disks, all as of one instant, into raw files that exist and have their size. It
	// changes nothing.
	ReadyBackup(ctx context.Context, uuid string, targets []Target) (Backup, error)
	// AbortBackup ends the job that copies into the file, if there is one, and returns when it has ended.
	AbortBackup(ctx context.Context, uuid, file string) error
}

// Target is a disk and the file it is copied to.
type Target struct {
	Disk, File string
}

// Backup copies disks while the guest goes on.
type Backup interface {
	// Begin fixes the instant whose content is copied.
	Begin(ctx context.Context) error
	// Wait returns when the job has ended, and fails when it did not copy everything. When ctx ends first it ends the
	// job.
	Wait(ctx context.Context, progress methods.Progress) error
	// Close lets go of what was made ready.
	Close() error
}
