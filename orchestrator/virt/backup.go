package virt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"libvirt.org/go/libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/domsnap/domsnap/methods"
	fullcopy "github.com/domsnap/domsnap/methods/copy"
	"github.com/domsnap/domsnap/xmlspec"
)

const (
	// pollBackup is how often a backup job is asked how far it is.
	pollBackup = 100 * time.Millisecond
	// abortTimeout is how long QEMU may take to end one.
	abortTimeout = time.Minute
)

// Capacity implements fullcopy.Hypervisor.
func (h *Host) Capacity(ctx context.Context, uuid, target string) (int64, error) {
	return bounded(ctx, onAnew(h, uuid, func(d *Domain) (int64, error) {
		if err := d.checkIdle(target); err != nil {
			return 0, err
		}
		info, err := d.dom.GetBlockInfo(target, 0)
		if err != nil {
			return 0, fmt.Errorf("ask for the size of disk %s: %w", target, err)
		}
		return int64(info.Capacity), nil
	}))
}

// checkIdle finds what libvirt would not begin a backup of the disk beside.
func (d *Domain) checkIdle(target string) error {
	job, err := d.dom.GetJobStats(0)
	if isCode(err, libvirt.ERR_NO_SUPPORT) {
		return methods.Unsupportedf("this hypervisor does not copy the disks of a domain that is active: %v", err)
	}
	if err != nil {
		return fmt.Errorf("ask for the domain's job: %w", err)
	}
	if job.Type != libvirt.DOMAIN_JOB_NONE {
		return &methods.Blocked{What: "another job, as a backup, runs on the domain", Hint: "see it: virsh domjobinfo DOMAIN; wait for its end, or end it: virsh domjobabort DOMAIN"}
	}
	_, err = d.ownJob(target, libvirt.DOMAIN_BLOCK_JOB_TYPE_UNKNOWN)
	return err
}

// ReadyBackup implements fullcopy.Hypervisor.
func (h *Host) ReadyBackup(ctx context.Context, uuid string, targets []fullcopy.Target) (fullcopy.Backup, error) {
	return bounded(ctx, func() (fullcopy.Backup, error) { return h.readyBackup(uuid, targets) })
}

func (h *Host) readyBackup(uuid string, targets []fullcopy.Target) (_ fullcopy.Backup, err error) {
	dom, err := h.find(uuid)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dom.Free())
		}
	}()
	d := &Domain{host: h, dom: dom}
	for _, t := range targets {
		// A job that began since the plan would be waited for with the guest held.
		if err := d.checkIdle(t.Disk); err != nil {
			return nil, err
		}
	}
	parsed, err := d.parsed(0)
	if err != nil {
		return nil, err
	}
	request, err := backupRequest(parsed, targets)
	return &backup{host: h, uuid: uuid, dom: dom, request: request}, err
}

// backupRequest names every disk, so that nothing is left to a default.
func backupRequest(d *xmlspec.Domain, targets []fullcopy.Target) (string, error) {
	files := make(map[string]string, len(targets))
	for _, t := range targets {
		files[t.Disk] = t.File
	}
	push := &libvirtxml.DomainBackupPush{Disks: &libvirtxml.DomainBackupPushDisks{}}
	for _, disk := range d.Disks {
		entry := libvirtxml.DomainBackupPushDisk{Name: disk.Target, Backup: "no"}
		if file, ok := files[disk.Target]; ok {
			entry.Backup = "yes"
			entry.Driver = &libvirtxml.DomainBackupDiskDriver{Type: "raw"}
			entry.Target = &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: file}}
		}
		push.Disks.Disks = append(push.Disks.Disks, entry)
	}
	request := libvirtxml.DomainBackup{Push: push}
	return request.Marshal()
}

// backup is a backup job of one domain.
type backup struct {
	host    *Host
	uuid    string
	dom     *libvirt.Domain
	request string
}

// Begin waits for libvirt also when ctx ends meanwhile: a job nobody knows of would go on writing.
func (b *backup) Begin(ctx context.Context) error {
	return b.host.inTurn(ctx, "begin the backup", func() error {
		return b.dom.BackupBegin(b.request, "", libvirt.DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL)
	})
}

func (b *backup) Wait(ctx context.Context, progress methods.Progress) error {
	var total int64
	for {
		job, err := bounded(ctx, func() (*libvirt.DomainJobInfo, error) { return b.dom.GetJobStats(0) })
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), b.host.abortBackup(ctx, b.uuid))
		}
		if err != nil {
			return fmt.Errorf("ask for the backup job: %w", err)
		}
		if job.Type == libvirt.DOMAIN_JOB_NONE {
			progress.Report(total, total)
			return boundedDo(ctx, b.completed)
		}
		total = int64(job.DiskTotal)
		progress.Report(int64(job.DiskProcessed), total)
		select {
		case <-ctx.Done():
		case <-time.After(pollBackup):
		}
	}
}

// completed makes sure that the job did not just end.
func (b *backup) completed() error {
	job, err := b.dom.GetJobStats(libvirt.DOMAIN_JOB_STATS_COMPLETED | libvirt.DOMAIN_JOB_STATS_KEEP_COMPLETED)
	switch {
	case err != nil:
		return fmt.Errorf("ask how the backup job ended: %w", err)
	case job.Operation != libvirt.DOMAIN_JOB_OPERATION_BACKUP:
		return errors.New("ask how the backup job ended: libvirt knows of another job only")
	case job.Type != libvirt.DOMAIN_JOB_COMPLETED:
		return fmt.Errorf("run the backup job: it did not complete: %s", job.ErrorMessage)
	default:
		return nil
	}
}

// Close leaves the domain to the end of the connection: a call that was given up may still use it.
func (b *backup) Close() error { return nil }

// AbortBackup implements fullcopy.Hypervisor.
func (h *Host) AbortBackup(ctx context.Context, uuid, file string) error {
	files, err := bounded(ctx, onAnew(h, uuid, func(d *Domain) ([]string, error) { return backupFiles(d.dom) }))
	if isCode(err, libvirt.ERR_NO_DOMAIN) {
		return nil
	}
	if err != nil || !slices.Contains(files, file) {
		return err
	}
	return h.abortBackup(ctx, uuid)
}

// backupFiles are the files that the domain's backup job writes; none where there is no job.
func backupFiles(dom *libvirt.Domain) ([]string, error) {
	text, err := dom.BackupGetXMLDesc(0)
	if isCode(err, libvirt.ERR_NO_DOMAIN_BACKUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the backup job: %w", err)
	}
	return filesOf(text)
}

// filesOf reads the XML of a backup job.
func filesOf(text string) ([]string, error) {
	var job libvirtxml.DomainBackup
	if err := xmlspec.DecodeLibvirt(text, &job); err != nil {
		return nil, fmt.Errorf("read the backup job: %w", err)
	}
	var files []string
	if job.Push != nil && job.Push.Disks != nil {
		for _, d := range job.Push.Disks.Disks {
			if d.Target != nil && d.Target.File != nil {
				files = append(files, d.Target.File.File)
			}
		}
	}
	return files, nil
}

// abortBackup returns when nothing is written any more, also where ctx has ended.
func (h *Host) abortBackup(ctx context.Context, uuid string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	for {
		// It fails where the job ended by itself meanwhile, which the next turn sees.
		ended, err := bounded(ctx, onAnew(h, uuid, func(d *Domain) (bool, error) {
			if _, err := d.dom.BackupGetXMLDesc(0); isCode(err, libvirt.ERR_NO_DOMAIN_BACKUP) {
				return true, nil
			}
			return false, d.dom.AbortJob()
		}))
		if ended || isCode(err, libvirt.ERR_NO_DOMAIN) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("abort the backup job: %w", ctx.Err()), err)
		case <-time.After(pollBackup):
		}
	}
}

var _ fullcopy.Hypervisor = (*Host)(nil)
