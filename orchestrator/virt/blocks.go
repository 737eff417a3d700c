package virt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"libvirt.org/go/libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/qemu"
	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/xmlspec"
)

// pollJob is how often a block job is asked how far it is.
const pollJob = 50 * time.Millisecond

// ReadySwitch implements qemu.Hypervisor.
func (h *Host) ReadySwitch(ctx context.Context, uuid string, overlays []qemu.Overlay) (qemu.Switch, error) {
	return bounded(ctx, func() (qemu.Switch, error) { return h.readySwitch(uuid, overlays) })
}

func (h *Host) readySwitch(uuid string, overlays []qemu.Overlay) (qemu.Switch, error) {
	dom, err := h.find(uuid)
	if err != nil {
		return nil, err
	}
	parsed, err := (&Domain{host: h, dom: dom}).parsed(0)
	if err != nil {
		return nil, errors.Join(err, dom.Free())
	}
	request, err := overlayRequest(parsed, overlays)
	if err != nil {
		return nil, errors.Join(err, dom.Free())
	}
	return &overlaySwitch{host: h, uuid: uuid, dom: dom, request: request, overlays: overlays}, nil
}

// overlaySwitch is one call of libvirt that only has to be made.
type overlaySwitch struct {
	host     *Host
	uuid     string
	dom      *libvirt.Domain
	request  string
	overlays []qemu.Overlay
	done     bool
}

// Do waits for libvirt also when ctx ends meanwhile: who gives up on a call that may still move the disks would take
// their overlays away under them.
func (s *overlaySwitch) Do(ctx context.Context) error {
	return s.host.inTurn(ctx, "switch to the overlays", s.do)
}

func (s *overlaySwitch) do() error {
	snapshot, err := s.dom.CreateSnapshotXML(s.request, libvirt.DOMAIN_SNAPSHOT_CREATE_DISK_ONLY|
		libvirt.DOMAIN_SNAPSHOT_CREATE_NO_METADATA|libvirt.DOMAIN_SNAPSHOT_CREATE_REUSE_EXT|
		libvirt.DOMAIN_SNAPSHOT_CREATE_ATOMIC)
	if err != nil {
		return err
	}
	s.done = true
	return snapshot.Free()
}

func (s *overlaySwitch) Close() error {
	var errs []error
	if s.done {
		for _, o := range s.overlays {
			errs = append(errs, s.host.define(s.uuid, o))
		}
	}
	return errors.Join(append(errs, s.dom.Free())...)
}

// define makes sure that the persistent definition names the overlay too: libvirt leaves it alone where it names the
// present source in another way, as by pool and volume, and the next start would be from the snapshot's image.
func (h *Host) define(uuid string, o qemu.Overlay) error {
	ctx := context.Background()
	var same bool
	err := h.withDomain(ctx, uuid, func(d *Domain) error {
		if persistent, err := d.dom.IsPersistent(); err != nil || !persistent {
			same = true
			return err
		}
		disk, err := d.disk(o.Target, libvirt.DOMAIN_XML_INACTIVE)
		// With what is below said there, it would be said for ever.
		same = disk.Source.File == o.File && len(disk.Chain) == 0
		return err
	})
	if err != nil || same {
		return err
	}
	return h.SetSource(ctx, uuid, o.Target, qemu.Image{Path: o.File, Format: "qcow2"})
}

// overlayRequest names every disk: libvirt takes those that are not named as well.
func overlayRequest(d *xmlspec.Domain, overlays []qemu.Overlay) (string, error) {
	files := make(map[string]string, len(overlays))
	for _, o := range overlays {
		files[o.Target] = o.File
	}
	request := libvirtxml.DomainSnapshot{Disks: &libvirtxml.DomainSnapshotDisks{}}
	for _, disk := range d.Disks {
		entry := libvirtxml.DomainSnapshotDisk{Name: disk.Target, Snapshot: "no"}
		if file, ok := files[disk.Target]; ok {
			entry.Snapshot = "external"
			entry.Driver = &libvirtxml.DomainDiskDriver{Type: "qcow2"}
			entry.Source = &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: file}}
		}
		request.Disks.Disks = append(request.Disks.Disks, entry)
	}
	return request.Marshal()
}

// ActiveSource implements qemu.Hypervisor.
func (h *Host) ActiveSource(ctx context.Context, uuid, target string) (string, error) {
	var path string
	err := h.withDomain(ctx, uuid, func(d *Domain) error {
		disk, err := d.disk(target, 0)
		path = disk.Source.File + disk.Source.Block
		return err
	})
	return path, err
}

// SetSource implements qemu.Hypervisor.
func (h *Host) SetSource(ctx context.Context, uuid, target string, image qemu.Image) error {
	return h.withDomain(ctx, uuid, func(d *Domain) error {
		disk, err := d.disk(target, libvirt.DOMAIN_XML_INACTIVE)
		if err != nil {
			return err
		}
		changed, err := withSource(disk, image)
		if err != nil {
			return err
		}
		update := func() error { return d.dom.UpdateDeviceFlags(changed, libvirt.DOMAIN_DEVICE_MODIFY_CONFIG) }
		if err := trace.Do(ctx, "libvirt: define the disk", update); err != nil {
			return fmt.Errorf("point disk %s to %s: %w", target, image.Path, err)
		}
		return nil
	})
}

func withSource(disk xmlspec.Disk, image qemu.Image) (string, error) {
	var raw libvirtxml.DomainDisk
	if err := raw.Unmarshal(disk.XML); err != nil {
		return "", fmt.Errorf("read disk %s: %w", disk.Target, err)
	}
	raw.Source, raw.BackingStore = sourceOf(raw.Source, image.Path), nil
	if raw.Driver == nil {
		raw.Driver = &libvirtxml.DomainDiskDriver{}
	}
	raw.Driver.Type = image.Format
	return raw.Marshal()
}

// sourceOf keeps what else a source says, as its labels.
func sourceOf(s *libvirtxml.DomainDiskSource, path string) *libvirtxml.DomainDiskSource {
	if s == nil {
		s = &libvirtxml.DomainDiskSource{}
	}
	s.File, s.Block, s.Volume = nil, nil, nil
	if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeDevice != 0 {
		s.Block = &libvirtxml.DomainDiskSourceBlock{Dev: path}
		return s
	}
	s.File = &libvirtxml.DomainDiskSourceFile{File: path}
	return s
}

// Commit implements qemu.Hypervisor.
func (h *Host) Commit(ctx context.Context, c qemu.Commit) error {
	return h.withDomain(ctx, c.UUID, func(d *Domain) error {
		disk, err := d.disk(c.Target, 0)
		if err != nil {
			return err
		}
		active := disk.Source.File+disk.Source.Block == c.Top
		start := func() error { return d.startCommit(c, active) }
		if err := trace.Do(ctx, "libvirt: start the commit", start); err != nil {
			return err
		}
		return d.awaitCommit(ctx, c, active)
	})
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

func (d *Domain) awaitCommit(ctx context.Context, c qemu.Commit, active bool) error {
	for {
		job, err := d.dom.GetBlockJobInfo(c.Target, 0)
		if err != nil {
			return fmt.Errorf("ask for block job of disk %s: %w", c.Target, err)
		}
		if job.Type == 0 {
			return d.committed(c)
		}
		c.Progress.Report(int64(job.Cur), int64(job.End))
		if active && job.Cur == job.End {
			// Not ready for the pivot is told by an error only; the job goes on, and so do we.
			_ = trace.Do(ctx, "libvirt: pivot", func() error {
				return d.dom.BlockJobAbort(c.Target, libvirt.DOMAIN_BLOCK_JOB_ABORT_PIVOT)
			})
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), d.dom.BlockJobAbort(c.Target, 0))
		case <-time.After(pollJob):
		}
	}
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

func (d *Domain) disk(target string, flags libvirt.DomainXMLFlags) (xmlspec.Disk, error) {
	parsed, err := d.parsed(flags)
	if err != nil {
		return xmlspec.Disk{}, err
	}
	disk, ok := parsed.Disk(target)
	if !ok {
		return xmlspec.Disk{}, fmt.Errorf("find disk %s of domain %s: it has none", target, parsed.Name)
	}
	return disk, nil
}

func (h *Host) withDomain(ctx context.Context, uuid string, do func(*Domain) error) error {
	return boundedDo(ctx, func() error {
		dom, err := h.find(uuid)
		if err != nil {
			return err
		}
		defer dom.Free()
		return do(&Domain{host: h, dom: dom})
	})
}

var _ qemu.Hypervisor = (*Host)(nil)
