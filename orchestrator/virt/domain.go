package virt

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/methods/qemu"
	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/xmlspec"
)

// powerOffTimeout is more than libvirt itself gives QEMU to end.
const powerOffTimeout = time.Minute

// Domain is one domain. It is found again where the connection is another one by now, so that a guest can be let go
// whose daemon was started anew meanwhile.
type Domain struct {
	host *Host
	uuid string

	mu   sync.Mutex
	conn *libvirt.Connect
	dom  *libvirt.Domain
}

// now is the domain on the connection that there is now.
func (d *Domain) now() (*Domain, error) {
	conn, err := d.host.live()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != conn {
		dom, err := findOn(conn, d.uuid)
		if err != nil {
			return nil, err
		}
		d.conn, d.dom = conn, dom
	}
	return &Domain{host: d.host, dom: d.dom}, nil
}

// act does something to the domain.
func (d *Domain) act(ctx context.Context, name string, call func(*Domain) error) error {
	return trace.Do(ctx, "libvirt: "+name, func() error {
		_, err := within(ctx, actLimit, onto(d, onlyFails(call)))
		return err
	})
}

// ask reads something of the domain.
func ask[T any](ctx context.Context, d *Domain, call func(*Domain) (T, error)) (T, error) {
	return bounded(ctx, onto(d, call))
}

// onto is a call on the domain as it is reached now.
func onto[T any](d *Domain, call func(*Domain) (T, error)) func() (T, error) {
	return func() (none T, err error) {
		now, err := d.now()
		if err != nil {
			return none, err
		}
		return call(now)
	}
}

// onlyFails is a call that only fails or not, as one that has an answer.
func onlyFails(call func(*Domain) error) func(*Domain) (struct{}, error) {
	return func(d *Domain) (struct{}, error) { return struct{}{}, call(d) }
}

// UUID implements orchestrator.Domain.
func (d *Domain) UUID() string { return d.uuid }

// Describe implements orchestrator.Domain.
func (d *Domain) Describe(ctx context.Context) (*orchestrator.Description, error) {
	return ask(ctx, d, (*Domain).describe)
}

func (d *Domain) describe() (*orchestrator.Description, error) {
	now, err := d.condition()
	if err != nil {
		return nil, err
	}
	persistent, err := d.dom.IsPersistent()
	if err != nil {
		return nil, fmt.Errorf("ask whether the domain is persistent: %w", err)
	}
	parsed, err := d.parsed(0)
	if err != nil {
		return nil, err
	}
	desc := &orchestrator.Description{Domain: *parsed, State: now.state, Stopped: now.stopped, Persistent: persistent, Ending: now.ending}
	// The memory of a domain that has one now is not saved.
	if now.state == orchestrator.Shutoff {
		if desc.Saved, err = d.dom.HasManagedSaveImage(0); err != nil {
			return nil, fmt.Errorf("ask whether the domain's memory is saved: %w", err)
		}
	}
	return desc, nil
}

// Definition implements orchestrator.Domain.
func (d *Domain) Definition(ctx context.Context) (*xmlspec.Domain, error) {
	return ask(ctx, d, func(d *Domain) (*xmlspec.Domain, error) { return d.parsed(libvirt.DOMAIN_XML_INACTIVE) })
}

// parsed reads the live XML, or that of the definition when the domain is off or the flag says so.
func (d *Domain) parsed(flags libvirt.DomainXMLFlags) (*xmlspec.Domain, error) {
	text, err := d.dom.GetXMLDesc(flags)
	if err != nil {
		return nil, fmt.Errorf("read the domain's XML: %w", err)
	}
	parsed, err := xmlspec.ParseDomain(text)
	if err == nil {
		d.host.places.complete(parsed)
	}
	return parsed, err
}

// Metadata implements orchestrator.Domain.
func (d *Domain) Metadata(ctx context.Context) (string, error) {
	text, err := ask(ctx, d, func(d *Domain) (string, error) {
		return d.dom.GetMetadata(libvirt.DOMAIN_METADATA_ELEMENT, xmlspec.LineageNamespace, libvirt.DOMAIN_AFFECT_CURRENT)
	})
	if isCode(err, libvirt.ERR_NO_DOMAIN_METADATA) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the lineage: %w", err)
	}
	return text, nil
}

// SetMetadata implements orchestrator.Domain.
func (d *Domain) SetMetadata(ctx context.Context, text string) error {
	return d.act(ctx, "write the metadata", func(d *Domain) error {
		flags, err := d.impact()
		if err != nil {
			return err
		}
		err = d.dom.SetMetadata(libvirt.DOMAIN_METADATA_ELEMENT, text, xmlspec.LineagePrefix, xmlspec.LineageNamespace, flags)
		if err := allowed(err); err != nil {
			return err
		}
		// With what was written of the disks before.
		return d.settle()
	})
}

// settle makes durable what the domain's definition is.
func (d *Domain) settle() error {
	name, err := d.dom.GetName()
	if err != nil {
		return fmt.Errorf("ask for the domain's name: %w", err)
	}
	return d.host.places.settle(name)
}

// allowed tells who may not write from what does not work.
func allowed(err error) error {
	switch {
	case err == nil:
		return nil
	case isCode(err, libvirt.ERR_OPERATION_DENIED), isCode(err, libvirt.ERR_ACCESS_DENIED):
		return &orchestrator.Problem{
			Kind: orchestrator.ErrRefused, Err: fmt.Errorf("write the lineage: %w", err),
			Hint: "connect to libvirt as somebody who may change the domain",
		}
	default:
		return fmt.Errorf("write the lineage: %w", err)
	}
}

// impact is all the definitions that the domain has.
func (d *Domain) impact() (libvirt.DomainModificationImpact, error) {
	desc, err := d.describe()
	if err != nil {
		return 0, err
	}
	var flags libvirt.DomainModificationImpact
	if desc.Persistent {
		flags |= libvirt.DOMAIN_AFFECT_CONFIG
	}
	if desc.State != orchestrator.Shutoff {
		flags |= libvirt.DOMAIN_AFFECT_LIVE
	}
	return flags, nil
}

// SetSource implements orchestrator.Domain.
func (d *Domain) SetSource(ctx context.Context, target, file, format string) error {
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("point disk %s to %s: %w", target, file, err)
	}
	return d.host.SetSource(ctx, d.uuid, target, qemu.Image{Path: file, Format: format})
}

// Start implements orchestrator.Domain. Where the connection turns out to be dead it is asked for once more, by another.
func (d *Domain) Start(ctx context.Context, paused bool) error {
	flags := libvirt.DOMAIN_NONE
	if paused {
		flags = libvirt.DOMAIN_START_PAUSED
	}
	asked := false
	start := func(*libvirt.Connect) (*Domain, error) {
		now, err := d.now()
		if err != nil {
			return nil, err
		}
		err = now.dom.CreateWithFlags(flags)
		if asked && isCode(err, libvirt.ERR_OPERATION_INVALID) {
			err = nil // It runs: the one before came to its end.
		}
		asked = true
		return now, err
	}
	return trace.Do(ctx, "libvirt: start", func() error {
		return doWithin(ctx, actLimit, func() error { _, err := again(d.host.live, start); return err })
	})
}

// PowerOff implements orchestrator.Domain. QEMU is asked to end first, so that it writes out what it holds, and killed
// when it does not.
func (d *Domain) PowerOff(ctx context.Context) error {
	// Who stopped waiting for it would take a domain for running that is about to end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), powerOffTimeout)
	defer cancel()
	err := d.act(ctx, "power off", func(d *Domain) error {
		err := d.dom.DestroyFlags(libvirt.DOMAIN_DESTROY_GRACEFUL)
		if err == nil || isCode(err, libvirt.ERR_OPERATION_INVALID) {
			return err
		}
		return d.dom.Destroy()
	})
	if err != nil && !isCode(err, libvirt.ERR_OPERATION_INVALID) {
		return fmt.Errorf("power the domain off: %w", err)
	}
	return nil
}

// Pause implements quiesce.Guest.
func (d *Domain) Pause(ctx context.Context) error {
	return d.act(ctx, "pause", func(d *Domain) error { return d.orGone(d.dom.Suspend()) })
}

// Resume implements quiesce.Guest. It is always sent, so that it comes after a pause that was given up and is still to
// come.
func (d *Domain) Resume(ctx context.Context) error {
	return d.act(ctx, "resume", func(d *Domain) error {
		err := d.dom.Resume()
		if err == nil {
			return nil
		}
		if state, stateErr := d.state(); stateErr == nil && state == orchestrator.Running {
			return nil
		}
		return d.orGone(err)
	})
}

// orGone says of an error whether the reason is that the guest does not run any more.
func (d *Domain) orGone(err error) error {
	if err == nil {
		return nil
	}
	state, stateErr := d.state()
	if isCode(stateErr, libvirt.ERR_NO_DOMAIN) || stateErr == nil && state == orchestrator.Shutoff {
		return fmt.Errorf("%w: %w", quiesce.ErrGone, err)
	}
	return err
}

var (
	_ orchestrator.Hypervisor = (*Host)(nil)
	_ orchestrator.Domain     = (*Domain)(nil)
	_ quiesce.Guest           = (*Domain)(nil)
)
