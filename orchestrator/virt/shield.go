package virt

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/digitalocean/go-qemu/qmp/raw"
	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/qemu"
	"github.com/domsnap/domsnap/orchestrator/shield"
)

// Shielded implements orchestrator.Domain.
func (d *Domain) Shielded() shield.Domain { return shielded{d} }

// shielded speaks to a domain's QEMU past libvirt, which sees nothing of it.
type shielded struct{ domain *Domain }

// plainDrivers are the drivers of nodes that an overlay can be put on: no filter is among them.
var plainDrivers = []string{"raw", "qcow2", "file", "host_device", "rbd", "nbd"}

// Survey implements shield.Nodes.
func (s shielded) Survey(ctx context.Context, targets []string) ([]shield.Node, error) {
	return ask(ctx, s.domain, func(d *Domain) ([]shield.Node, error) {
		if err := d.checkJobs(); err != nil {
			return nil, err
		}
		devices, err := d.targetDevices(targets)
		if err != nil {
			return nil, err
		}
		nodes := make([]shield.Node, len(devices))
		for i, device := range devices {
			if nodes[i], err = device.node(targets[i]); err != nil {
				return nil, err
			}
		}
		return nodes, nil
	})
}

// checkJobs: what another job reads or writes must not be moved under it.
func (d *Domain) checkJobs() error {
	var jobs []struct{ Device string }
	if err := query(monitor{d.dom}, "query-block-jobs", &jobs); err != nil {
		return err
	}
	if len(jobs) > 0 {
		return methods.Blockedf("a block job (%s) runs", jobs[0].Device)
	}
	return nil
}

// targetDevices are the devices of the disks.
func (d *Domain) targetDevices(targets []string) ([]device, error) {
	parsed, err := d.parsed(0)
	if err != nil {
		return nil, err
	}
	all, err := blockDevices(monitor{d.dom})
	if err != nil {
		return nil, err
	}
	found := make([]device, len(targets))
	for i, target := range targets {
		if found[i], err = all.of(parsed, target); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (d device) node(target string) (shield.Node, error) {
	i := d.Inserted
	if !slices.Contains(plainDrivers, i.Driver) {
		return shield.Node{}, methods.Unsupportedf("disk %s goes through a filter of QEMU's (%s)", target, i.Driver)
	}
	if slices.ContainsFunc(i.Bitmaps, bitmap.counts) {
		return shield.Node{}, methods.Blockedf("disk %s has a checkpoint or a backup (a dirty bitmap)", target)
	}
	return shield.Node{
		Target: target, Name: i.Node, Driver: i.Driver, Size: i.Image.Size,
		Options: shield.Options{Direct: i.Cache.Direct, NoFlush: i.Cache.NoFlush, DetectZeroes: i.DetectZeroes},
	}, nil
}

// Add implements shield.Nodes.
func (s shielded) Add(ctx context.Context, o shield.Overlay) error {
	err := s.send(ctx, "blockdev-add", overlayNode(o))
	var refused *qmpError
	if errors.As(err, &refused) {
		return cannotOpen("an overlay", o.File, refused)
	}
	return err
}

func cannotOpen(what, file string, refused *qmpError) error {
	return &methods.Blocked{What: "QEMU cannot use " + what + ": " + refused.Desc, Hint: "may it open " + file + "? See AppArmor and SELinux in the README"}
}

// namedNode is what is read of one of query-named-block-nodes'.
type namedNode struct {
	Node string `json:"node-name"`
	File string `json:"file"`
}

func (s shielded) nodes(ctx context.Context) ([]namedNode, error) {
	return ask(ctx, s.domain, (*Domain).namedNodes)
}

func (d *Domain) namedNodes() ([]namedNode, error) {
	var all []namedNode
	err := execute(monitor{d.dom}, "query-named-block-nodes", map[string]any{"flat": true}, &all)
	return all, err
}

func has(nodes []namedNode, name string) bool {
	return slices.ContainsFunc(nodes, func(n namedNode) bool { return n.Node == name })
}

// Remove implements shield.Nodes. Who removes the file afterwards must not take it from a node of another name.
func (s shielded) Remove(ctx context.Context, o shield.Overlay) error {
	nodes, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(nodes), func(n namedNode) bool { return n.Node == o.Node || n.Node == fileOf(o) })
	if slices.ContainsFunc(others, func(n namedNode) bool { return n.File == o.File }) {
		return methods.Blockedf("QEMU has %s open for another use", o.File)
	}
	return s.del(ctx, nodes, o.Node)
}

// del has QEMU close those of the nodes that are among all.
func (s shielded) del(ctx context.Context, all []namedNode, names ...string) error {
	type node struct {
		Node string `json:"node-name"`
	}
	for _, name := range names {
		if !has(all, name) {
			continue
		}
		if err := s.send(ctx, "blockdev-del", node{name}); err != nil {
			return err
		}
	}
	return nil
}

// Close implements shield.Nodes. Libvirt has tried to close the disk when it was detached, and has forgotten it.
func (s shielded) Close(ctx context.Context, o shield.Overlay) error {
	nodes, err := s.nodes(ctx)
	if err != nil || !has(nodes, o.Node) {
		return err
	}
	graph, err := s.graph(ctx)
	if err != nil {
		return err
	}
	if err := s.Cancel(ctx, []shield.Overlay{o}); err != nil {
		return err
	}
	return s.del(ctx, nodes, o.Node, o.Base, graph.below(o.Base, "file"))
}

// Switch implements shield.Nodes.
func (s shielded) Switch(ctx context.Context, all []shield.Overlay) error {
	actions := make([]raw.TransactionAction, len(all))
	for i, o := range all {
		actions[i] = raw.TransactionActionBlockdevSnapshot{Node: o.Base, Overlay: o.Node}
	}
	return s.wait(ctx, "QEMU: transaction", func(d *Domain) error { return raw.NewMonitor(monitor{d.dom}).Transaction(actions, nil) })
}

// Define implements shield.Definition.
func (s shielded) Define(ctx context.Context, elements []string) error {
	for _, element := range elements {
		if err := s.wait(ctx, "define the disk", func(d *Domain) error {
			return d.dom.UpdateDeviceFlags(element, libvirt.DOMAIN_DEVICE_MODIFY_CONFIG)
		}); err != nil {
			return err
		}
	}
	return s.wait(ctx, "sync the definition", (*Domain).settle)
}

// DefinedOn implements shield.Definition.
func (s shielded) DefinedOn(ctx context.Context, all []shield.Overlay) ([]shield.Overlay, error) {
	definition, err := s.domain.Definition(ctx)
	if err != nil {
		return nil, err
	}
	var on []shield.Overlay
	for _, o := range all {
		disk, ok := definition.Disk(o.Disk.Target)
		if ok && slices.Contains(disk.Chain, o.File) {
			return nil, methods.Blockedf("somebody has put disk %s onto another overlay, above %s", o.Disk.Target, o.File)
		}
		if ok && disk.Source.File == o.File {
			on = append(on, o)
		}
	}
	return on, nil
}

// wait does something to the domain in its turn.
func (s shielded) wait(ctx context.Context, name string, do func(*Domain) error) error {
	err := s.domain.host.inTurn(ctx, name, func() error {
		d, err := s.domain.now()
		if err != nil {
			return err
		}
		return do(d)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// send has QEMU do something whose answer says nothing.
func (s shielded) send(ctx context.Context, name string, args any) error {
	return s.wait(ctx, "QEMU: "+name, func(d *Domain) error { return execute(monitor{d.dom}, name, args, nil) })
}

// CommitKnown implements shield.Commits.
func (s shielded) CommitKnown(ctx context.Context, o shield.Overlay) error {
	return s.domain.host.Commit(ctx, qemu.Commit{UUID: s.domain.uuid, Target: o.Disk.Target, Top: o.File})
}

var _ shield.Domain = shielded{}
