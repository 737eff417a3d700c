package virt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/qemu"
	"github.com/domsnap/domsnap/methods/trace"
)

const (
	// pollJob is how often a block job is asked how far it is.
	pollJob = 50 * time.Millisecond
	// patience is how long a commit may come no nearer to its end. One that does may take hours.
	patience = 5 * time.Minute
)

// CheckCommit implements qemu.Hypervisor.
func (h *Host) CheckCommit(ctx context.Context, c qemu.Commit) error {
	return h.withDomain(ctx, c.UUID, func(d *Domain) error {
		active, err := d.writesTo(c.Target, c.Top)
		if err == nil {
			_, err = d.commits(c, active)
		}
		return err
	})
}

// Commit implements qemu.Hypervisor.
func (h *Host) Commit(ctx context.Context, c qemu.Commit) error {
	m := &merging{Commit: c, way: newApproach(time.Now())}
	if err := h.withDomain(ctx, c.UUID, func(d *Domain) error { return m.begin(ctx, d) }); err != nil {
		return err
	}
	for {
		ended, err := bounded(ctx, onAnew(h, c.UUID, func(d *Domain) (bool, error) { return m.follow(ctx, d) }))
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

// merging is a commit at work.
type merging struct {
	qemu.Commit
	// active: the image is what the disk writes to.
	active bool
	way    approach
	// told: it was told to pivot. pivot is what has kept it from that the last time; nil for nothing.
	told  bool
	pivot error
}

func (m *merging) begin(ctx context.Context, d *Domain) (err error) {
	if m.active, err = d.writesTo(m.Target, m.Top); err != nil {
		return err
	}
	return trace.Do(ctx, "libvirt: start the commit", func() error { return d.startCommit(m.Commit, m.active) })
}

// follow looks how far the job is, and ends it where it is done. One that comes no nearer to its end goes on, and the next
// attempt finds it.
func (m *merging) follow(ctx context.Context, d *Domain) (ended bool, _ error) {
	job, err := d.dom.GetBlockJobInfo(m.Target, 0)
	if err != nil {
		return false, fmt.Errorf("ask for block job of disk %s: %w", m.Target, err)
	}
	if job.Type == libvirt.DOMAIN_BLOCK_JOB_TYPE_UNKNOWN {
		return true, d.committed(m.Commit)
	}
	m.Progress.Report(int64(job.Cur), int64(job.End))
	if left := job.End - job.Cur; m.way.stalled(left, time.Now()) {
		return false, m.endless(left)
	}
	if m.active && job.Cur == job.End {
		// Not ready for the pivot is told by an error only; the job goes on, and so do we. While the guest writes quicker
		// than the job copies a pivot does not end either, and libvirt would wait for it for ever.
		m.pivot = m.tellToPivot(ctx, d)
	}
	return false, nil
}

// tellToPivot may be called again and again: what comes before the second time is what came before the first, and is no act of
// its own.
func (m *merging) tellToPivot(ctx context.Context, d *Domain) error {
	tell := func() error {
		return d.dom.BlockJobAbort(m.Target, libvirt.DOMAIN_BLOCK_JOB_ABORT_PIVOT|libvirt.DOMAIN_BLOCK_JOB_ABORT_ASYNC)
	}
	if m.told {
		return tell()
	}
	m.told = true
	return trace.Do(ctx, "libvirt: pivot", tell)
}

// endless is the error of a commit that comes no nearer to its end.
func (m *merging) endless(left uint64) error {
	err := fmt.Errorf("commit %s: in %s it has come no nearer to its end, %d MiB are left: the guest may be writing quicker than that",
		m.Top, patience, left>>20)
	if m.pivot != nil {
		err = fmt.Errorf("%w; the last time it was: %w", err, m.pivot)
	}
	return err
}

// abortCommit is waited for although ctx has ended.
func (h *Host) abortCommit(ctx context.Context, c qemu.Commit) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	return h.withDomain(ctx, c.UUID, func(d *Domain) error { return d.dom.BlockJobAbort(c.Target, 0) })
}

// writesTo says whether an image is the one that the disk writes to.
func (d *Domain) writesTo(target, image string) (bool, error) {
	active, err := d.activeSource(target)
	return active == image, err
}

// commits says whether a commit of an earlier attempt is at work.
func (d *Domain) commits(c qemu.Commit, active bool) (bool, error) {
	kind := libvirt.DOMAIN_BLOCK_JOB_TYPE_COMMIT
	if active {
		kind = libvirt.DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT
	}
	return d.ownJob(c.Target, kind)
}

// ownJob says whether a block job of this kind runs on the disk. One of another kind is somebody else's, and in the way.
func (d *Domain) ownJob(target string, kind libvirt.DomainBlockJobType) (bool, error) {
	job, err := d.dom.GetBlockJobInfo(target, 0)
	if err != nil {
		return false, fmt.Errorf("ask for the block job of disk %s: %w", target, err)
	}
	switch job.Type {
	case libvirt.DOMAIN_BLOCK_JOB_TYPE_UNKNOWN:
		return false, nil
	case kind:
		return true, nil
	default:
		return false, &methods.Blocked{What: "a block job runs on disk " + target, Hint: "see it: virsh blockjob DOMAIN " + target}
	}
}

// startCommit finds a commit of an earlier attempt as good as a new one.
func (d *Domain) startCommit(c qemu.Commit, active bool) error {
	if begun, err := d.commits(c, active); err != nil || begun {
		return err
	}
	flags := libvirt.DomainBlockCommitFlags(0)
	if active {
		flags = libvirt.DOMAIN_BLOCK_COMMIT_ACTIVE
	}
	if c.Base == "" {
		flags |= libvirt.DOMAIN_BLOCK_COMMIT_SHALLOW
	}
	if err := d.dom.BlockCommit(c.Target, c.Base, c.Top, 0, flags); err != nil {
		return fmt.Errorf("start block commit of disk %s: %w", c.Target, err)
	}
	return nil
}

// approach is how a job comes nearer to its end.
type approach struct {
	// left is what was left at the time since.
	left  uint64
	since time.Time
}

// newApproach does not go by what a job says at its beginning, when it does not know yet how much there is.
func newApproach(now time.Time) approach { return approach{left: math.MaxUint64, since: now} }

// stalled says that as much is left as there was one patience ago, or more.
func (a *approach) stalled(left uint64, now time.Time) bool {
	if now.Sub(a.since) < patience {
		return false
	}
	stalled := left >= a.left
	a.left, a.since = left, now
	return stalled
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
