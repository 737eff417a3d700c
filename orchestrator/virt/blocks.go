package virt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"libvirt.org/go/libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/domsnap/domsnap/methods/qemu"
	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/xmlspec"
)

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
	done     atomic.Bool
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
	s.done.Store(true)
	return snapshot.Free()
}

// Close leaves the domain to the end of the connection: a call that was given up may still use it.
func (s *overlaySwitch) Close() error {
	var errs []error
	if s.done.Load() {
		for _, o := range s.overlays {
			errs = append(errs, s.host.define(s.uuid, o))
		}
	}
	return errors.Join(errs...)
}

// define makes sure that the persistent definition names the overlay too: libvirt leaves it alone where it names the
// present source in another way, as by pool and volume, and the next start would be from the snapshot's image.
func (h *Host) define(uuid string, o qemu.Overlay) error {
	ctx := context.Background()
	same, err := bounded(ctx, onAnew(h, uuid, func(d *Domain) (bool, error) {
		if persistent, err := d.dom.IsPersistent(); err != nil || !persistent {
			return true, err
		}
		disk, err := d.disk(o.Target, libvirt.DOMAIN_XML_INACTIVE)
		// With what is below said there, it would be said for ever.
		return disk.Source.File == o.File && len(disk.Chain) == 0, err
	}))
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
	return bounded(ctx, onAnew(h, uuid, func(d *Domain) (string, error) { return d.activeSource(target) }))
}

func (d *Domain) activeSource(target string) (string, error) {
	disk, err := d.disk(target, 0)
	return disk.Source.File + disk.Source.Block, err
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
	_, err := bounded(ctx, onAnew(h, uuid, onlyFails(do)))
	return err
}

// onAnew is a call on a domain that is looked up anew.
func onAnew[T any](h *Host, uuid string, call func(*Domain) (T, error)) func() (T, error) {
	return func() (none T, err error) {
		dom, err := h.find(uuid)
		if err != nil {
			return none, err
		}
		defer dom.Free()
		return call(&Domain{host: h, dom: dom})
	}
}

var _ qemu.Hypervisor = (*Host)(nil)
