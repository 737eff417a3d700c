package virt

import (
	"context"
	"errors"
	"fmt"

	"github.com/digitalocean/go-qemu/qmp"
	"github.com/digitalocean/go-qemu/qmp/raw"
	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/qemu"
	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/xmlspec"
)

// ReadyInternal implements qemu.InternalHypervisor.
func (h *Host) ReadyInternal(ctx context.Context, uuid string, snapshots []qemu.InternalSnapshot) (qemu.Switch, error) {
	return bounded(ctx, func() (qemu.Switch, error) { return h.readyInternal(uuid, snapshots) })
}

func (h *Host) readyInternal(uuid string, snapshots []qemu.InternalSnapshot) (qemu.Switch, error) {
	dom, err := h.find(uuid)
	if err != nil {
		return nil, err
	}
	parsed, err := (&Domain{host: h, dom: dom}).parsed(0)
	if err != nil {
		return nil, errors.Join(err, dom.Free())
	}
	actions, err := internalActions(monitor{dom}, parsed, snapshots)
	if err != nil {
		return nil, errors.Join(err, dom.Free())
	}
	return &internalSwitch{host: h, dom: dom, actions: actions}, nil
}

// internalSwitch is one transaction that only has to be sent.
type internalSwitch struct {
	host    *Host
	dom     *libvirt.Domain
	actions []raw.TransactionAction
}

// Do waits for QEMU also when ctx ends meanwhile: who gives up on a transaction that is still to come would not find
// what there is to remove.
func (s *internalSwitch) Do(ctx context.Context) error {
	return s.host.inTurn(ctx, "QEMU: transaction", func() error {
		return raw.NewMonitor(monitor{s.dom}).Transaction(s.actions, nil)
	})
}

// Close leaves the domain to the end of the connection: a call that was given up may still use it.
func (s *internalSwitch) Close() error { return nil }

func internalActions(m qmp.Monitor, d *xmlspec.Domain, snapshots []qemu.InternalSnapshot) ([]raw.TransactionAction, error) {
	devices, err := blockDevices(m)
	if err != nil {
		return nil, err
	}
	actions := make([]raw.TransactionAction, 0, len(snapshots))
	for _, s := range snapshots {
		node, err := devices.node(d, s)
		if err != nil {
			return nil, err
		}
		actions = append(actions, raw.TransactionActionBlockdevSnapshotInternalSync{Device: node, Name: s.Name})
	}
	return actions, nil
}

// CheckDropInternal implements qemu.InternalHypervisor.
func (h *Host) CheckDropInternal(ctx context.Context, uuid, target string) error {
	return h.withDomain(ctx, uuid, func(d *Domain) error {
		_, err := d.ownJob(target, libvirt.DOMAIN_BLOCK_JOB_TYPE_UNKNOWN)
		return err
	})
}

// DropInternal implements qemu.InternalHypervisor. With name and id QEMU removes just the one that has both.
func (h *Host) DropInternal(ctx context.Context, uuid string, s qemu.InternalSnapshot) error {
	drop := func(d *Domain) error { return d.dropInternal(ctx, s) }
	_, err := within(ctx, actLimit, onAnew(h, uuid, onlyFails(drop)))
	return err
}

func (d *Domain) dropInternal(ctx context.Context, s qemu.InternalSnapshot) error {
	parsed, err := d.parsed(0)
	if err != nil {
		return err
	}
	m := monitor{d.dom}
	devices, err := blockDevices(m)
	if err != nil {
		return err
	}
	node, err := devices.node(parsed, s)
	if err != nil {
		return err
	}
	err = trace.Do(ctx, "QEMU: remove the internal snapshot", func() error {
		_, err := raw.NewMonitor(m).BlockdevSnapshotDeleteInternalSync(node, &s.ID, &s.Name)
		return err
	})
	if err != nil {
		return fmt.Errorf("remove internal snapshot %s of disk %s: %w", s.Name, s.Target, err)
	}
	return nil
}

// node finds the block node of a disk. One with another file than libvirt believes is not touched.
func (l deviceList) node(d *xmlspec.Domain, s qemu.InternalSnapshot) (string, error) {
	found, err := l.of(d, s.Target)
	if err != nil {
		return "", err
	}
	if found.Inserted.File != s.File {
		return "", methods.Blockedf("QEMU has %q open as disk %s, not %s", found.Inserted.File, s.Target, s.File)
	}
	return found.Inserted.Node, nil
}

var _ qemu.InternalHypervisor = (*Host)(nil)
