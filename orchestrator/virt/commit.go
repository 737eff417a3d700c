package virt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/qemu"
	"github.com/domsnap/domsnap/methods/trace"
)

// pollJob is how often a block job is asked how far it is.
const pollJob = 50 * time.Millisecond

// Commit implements qemu.Hypervisor.
func (h *Host) Commit(ctx context.Context, c qemu.Commit) error {
	active, err := h.startCommit(ctx, c)
	if err != nil {
		return err
	}
	for {
		ended, err := h.followCommit(ctx, c, active)
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), h.abortCommit(ctx, c))
		}
		if ended || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollJob):
		}
	}
}

// startCommit says whether the image is what the disk writes to.
func (h *Host) startCommit(ctx context.Context, c qemu.Commit) (active bool, err error) {
	at, err := h.ActiveSource(ctx, c.UUID, c.Target)
	if err != nil {
		return false, err
	}
	active = at == c.Top
	return active, h.withDomain(ctx, c.UUID, func(d *Domain) error {
		return trace.Do(ctx, "libvirt: start the commit", func() error { return d.startCommit(c, active) })
	})
}

// followCommit looks how far the job is, and ends it where it is done.
func (h *Host) followCommit(ctx context.Context, c qemu.Commit, active bool) (ended bool, _ error) {
	return bounded(ctx, onAnew(h, c.UUID, func(d *Domain) (bool, error) {
		job, err := d.dom.GetBlockJobInfo(c.Target, 0)
		if err != nil {
			return false, fmt.Errorf("ask for block job of disk %s: %w", c.Target, err)
		}
		if job.Type == libvirt.DOMAIN_BLOCK_JOB_TYPE_UNKNOWN {
			return true, d.committed(c)
		}
		c.Progress.Report(int64(job.Cur), int64(job.End))
		if active && job.Cur == job.End {
			// Not ready for the pivot is told by an error only; the job goes on, and so do we.
			_ = trace.Do(ctx, "libvirt: pivot", func() error {
				return d.dom.BlockJobAbort(c.Target, libvirt.DOMAIN_BLOCK_JOB_ABORT_PIVOT)
			})
		}
		return false, nil
	}))
}

// abortCommit is waited for although ctx has ended.
func (h *Host) abortCommit(ctx context.Context, c qemu.Commit) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	return h.withDomain(ctx, c.UUID, func(d *Domain) error { return d.dom.BlockJobAbort(c.Target, 0) })
}

// startCommit finds a commit of an earlier attempt as good as a new one; another job on the disk is somebody else's.
func (d *Domain) startCommit(c qemu.Commit, active bool) error {
	kind, flags := libvirt.DOMAIN_BLOCK_JOB_TYPE_COMMIT, libvirt.DomainBlockCommitFlags(0)
	if active {
		kind, flags = libvirt.DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT, libvirt.DOMAIN_BLOCK_COMMIT_ACTIVE
	}
	job, err := d.dom.GetBlockJobInfo(c.Target, 0)
	switch {
	case err != nil || job.Type == libvirt.DOMAIN_BLOCK_JOB_TYPE_UNKNOWN:
	case job.Type == kind:
		return nil
	default:
		return &methods.Blocked{
			What: fmt.Sprintf("a block job runs on disk %s", c.Target),
			Hint: "see it: virsh blockjob DOMAIN " + c.Target,
		}
	}
	if c.Base == "" {
		flags |= libvirt.DOMAIN_BLOCK_COMMIT_SHALLOW
	}
	if err := d.dom.BlockCommit(c.Target, c.Base, c.Top, 0, flags); err != nil {
		return fmt.Errorf("start block commit of disk %s: %w", c.Target, err)
	}
	return nil
}

// committed makes sure that the job did not just fail.
func (d *Domain) committed(c qemu.Commit) error {
	disk, err := d.disk(c.Target, 0)
	if err != nil {
		return err
	}
	for _, path := range append(disk.Chain, disk.Source.File+disk.Source.Block) {
		if path == c.Top {
			return fmt.Errorf("commit %s: the block job ended and it is still in the chain", c.Top)
		}
	}
	return nil
}
