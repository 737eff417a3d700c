package virt

import (
	"fmt"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/orchestrator"
)

// condition is the state of a domain, and how it came to it.
type condition struct {
	state orchestrator.State
	// ending is that of a domain that is off.
	ending orchestrator.Ending
	// stopped says of one that is paused that QEMU could not write.
	stopped bool
}

func (d *Domain) state() (orchestrator.State, error) {
	now, err := d.condition()
	return now.state, err
}

func (d *Domain) condition() (condition, error) {
	state, reason, err := d.dom.GetState()
	if err != nil {
		return condition{}, fmt.Errorf("ask for the domain's state: %w", err)
	}
	switch state {
	case libvirt.DOMAIN_SHUTOFF:
		return condition{state: orchestrator.Shutoff, ending: endingOf(libvirt.DomainShutoffReason(reason))}, nil
	case libvirt.DOMAIN_CRASHED:
		return d.crashed()
	case libvirt.DOMAIN_RUNNING, libvirt.DOMAIN_BLOCKED:
		return condition{state: orchestrator.Running}, nil
	case libvirt.DOMAIN_PAUSED:
		return condition{state: orchestrator.Paused, stopped: reason == int(libvirt.DOMAIN_PAUSED_IOERROR)}, nil
	default:
		return condition{state: orchestrator.Paused}, nil
	}
}

// endingOf: a start that failed says nothing of how the domain was before it.
func endingOf(reason libvirt.DomainShutoffReason) orchestrator.Ending {
	switch reason {
	case libvirt.DOMAIN_SHUTOFF_SHUTDOWN, libvirt.DOMAIN_SHUTOFF_DESTROYED, libvirt.DOMAIN_SHUTOFF_CRASHED:
		return orchestrator.EndDown
	case libvirt.DOMAIN_SHUTOFF_SAVED, libvirt.DOMAIN_SHUTOFF_MIGRATED:
		return orchestrator.EndAway
	default:
		return orchestrator.EndUnknown
	}
}

// crashed: QEMU may have been kept, with the disks open.
func (d *Domain) crashed() (condition, error) {
	active, err := d.dom.IsActive()
	if err != nil {
		return condition{}, fmt.Errorf("ask whether the domain is active: %w", err)
	}
	if active {
		return condition{state: orchestrator.Paused}, nil
	}
	return condition{state: orchestrator.Shutoff, ending: orchestrator.EndDown}, nil
}
