package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"libvirt.org/go/libvirt"
	"libvirt.org/go/libvirtxml"
)

const (
	stateDir      = "/run/domsnap-lab"
	removeTimeout = 90 * time.Second
	buildTimeout  = 3 * time.Minute
)

// Options say what domain to make.
type Options struct {
	Name           string // a unique one if empty
	Disks          []Disk
	MemoryMiB      int  // 192 if 0
	NoAgentChannel bool // the guest's agent then finds no port
	UEFI           bool // with variables in a file
	TPM            bool // an emulated one
	// Change changes what libvirt is to define; nil for nothing.
	Change func(*libvirtxml.Domain)
}

// Domain is a guest with its storage.
type Domain struct {
	name    string
	conn    *libvirt.Connect
	dom     *libvirt.Domain
	volumes []*volume
	control control
}

// NewDomain makes the disks and defines the domain; it does not start it. Nothing is left behind on an error.
func NewDomain(opts Options) (_ *Domain, err error) {
	if opts.Name == "" {
		opts.Name = "lab" + strconv.FormatInt(time.Now().UnixNano(), 36)
	}
	if opts.MemoryMiB == 0 {
		opts.MemoryMiB = 192
	}
	d := &Domain{name: opts.Name}
	d.control.path = d.controlPath()
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := d.buildDisks(opts.Disks); err != nil {
		return nil, err
	}
	return d, d.define(opts)
}

func (d *Domain) buildDisks(disks []Disk) error {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	for i, disk := range disks {
		v, err := newVolume(d.name, disk.withDefaults(i))
		if err != nil {
			return err
		}
		d.volumes = append(d.volumes, v)
		if err := v.build(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *Domain) define(opts Options) error {
	text, err := d.describe(opts)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	if d.conn, err = libvirt.NewConnect("qemu:///system"); err != nil {
		return fmt.Errorf("connect to libvirt: %w", err)
	}
	if d.dom, err = d.conn.DomainDefineXML(text); err != nil {
		return fmt.Errorf("define domain: %w", err)
	}
	return nil
}

// Name is the domain's name.
func (d *Domain) Name() string { return d.name }

// Libvirt is libvirt's handle of the domain. It is the Domain's: do not free it.
func (d *Domain) Libvirt() *libvirt.Domain { return d.dom }

// ConsoleLog is the file with the guest's serial console.
func (d *Domain) ConsoleLog() string { return filepath.Join(stateDir, d.name+".console") }

// NVRAM is where the variables of UEFI are.
func (d *Domain) NVRAM() string {
	return filepath.Join("/var/lib/libvirt/qemu/nvram", d.name+"_VARS.fd")
}

func (d *Domain) controlPath() string { return filepath.Join(stateDir, d.name+".control") }

// Source is where the disk was made: a path, pool/image for rbd, an export for NBD; empty if there is no such disk.
func (d *Domain) Source(target string) string {
	for _, v := range d.volumes {
		if v.disk.Target == target {
			return v.source
		}
	}
	return ""
}

// Start starts the domain; WaitAgent waits until the guest is up.
func (d *Domain) Start() error {
	if err := d.dom.Create(); err != nil {
		return fmt.Errorf("start domain: %w", err)
	}
	return nil
}

// Stop powers the domain off, whatever the guest is doing. QEMU still closes its images, unless it hangs.
func (d *Domain) Stop() error {
	d.control.close()
	active, err := d.dom.IsActive()
	if err != nil || !active {
		return err
	}
	if d.dom.DestroyFlags(libvirt.DOMAIN_DESTROY_GRACEFUL) == nil {
		return nil
	}
	if err := d.dom.Destroy(); err != nil {
		return fmt.Errorf("stop domain: %w", err)
	}
	return nil
}

// Close stops and undefines the domain and removes the storage made for it. It goes on after an error, and may be
// called again. Snapshots that are volumes or files of their own are their maker's to remove.
func (d *Domain) Close() error {
	errs := []error{d.undefine()}
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	for _, v := range d.volumes {
		if err := v.remove(ctx); err != nil {
			errs = append(errs, fmt.Errorf("remove disk %s: %w", v.disk.Target, err))
		}
	}
	errs = append(errs, ignoreMissing(os.Remove(d.ConsoleLog())))
	return errors.Join(errs...)
}

func (d *Domain) undefine() error {
	if d.dom == nil {
		return d.disconnect()
	}
	err := d.Stop()
	undefineErr := d.dom.UndefineFlags(libvirt.DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
		libvirt.DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | libvirt.DOMAIN_UNDEFINE_MANAGED_SAVE |
		libvirt.DOMAIN_UNDEFINE_NVRAM | libvirt.DOMAIN_UNDEFINE_TPM)
	freeErr := d.dom.Free()
	d.dom = nil
	return errors.Join(err, undefineErr, freeErr, d.disconnect())
}

func (d *Domain) disconnect() error {
	if d.conn == nil {
		return nil
	}
	_, err := d.conn.Close()
	d.conn = nil
	return err
}
