package virt

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/shield"
)

// cacheOptions and those that follow are QEMU's BlockdevOptions. What is as QEMU has it by itself is left out: QEMU reads
// its commands byte by byte.
type cacheOptions struct {
	Direct  bool `json:"direct,omitempty"`
	NoFlush bool `json:"no-flush,omitempty"`
}

type fileNode struct {
	Driver   string       `json:"driver"`
	Node     string       `json:"node-name"`
	Filename string       `json:"filename"`
	Cache    cacheOptions `json:"cache,omitzero"`
	Discard  string       `json:"discard"`
	AIO      string       `json:"aio,omitempty"`
}

// qcow2Node has another node or the description of one as its File.
type qcow2Node struct {
	Driver       string       `json:"driver"`
	Node         string       `json:"node-name"`
	File         any          `json:"file"`
	Backing      *string      `json:"backing"`
	Cache        cacheOptions `json:"cache,omitzero"`
	Discard      string       `json:"discard,omitempty"`
	DetectZeroes string       `json:"detect-zeroes,omitempty"`
}

func nodeOf(name string, file any, options shield.Options) qcow2Node {
	node := qcow2Node{
		Driver: "qcow2", Node: name, File: file,
		Cache: cacheOptions{Direct: options.Direct, NoFlush: options.NoFlush},
	}
	if options.Discard {
		node.Discard = "unmap"
	}
	if options.DetectZeroes != "off" {
		node.DetectZeroes = options.DetectZeroes
	}
	return node
}

// fileOf is the node of the overlay's file itself.
func fileOf(o shield.Overlay) string { return o.Node + "-f" }

// overlayNode is an overlay without what is below it: that comes with the switch to it.
func overlayNode(o shield.Overlay) qcow2Node {
	cache := cacheOptions{Direct: o.Options.Direct, NoFlush: o.Options.NoFlush}
	file := fileNode{Driver: "file", Node: fileOf(o), Filename: o.File, Cache: cache, Discard: "unmap", AIO: o.Options.AIO}
	return nodeOf(o.Node, file, o.Options)
}

// blockGraph is what is read of x-debug-query-block-graph, the only one to tell how nodes of any version of QEMU are
// connected.
type blockGraph struct {
	Nodes []struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	} `json:"nodes"`
	Edges []struct {
		Parent int64  `json:"parent"`
		Child  int64  `json:"child"`
		Name   string `json:"name"`
	} `json:"edges"`
}

// below is the node that another one has as its child of a kind; empty for none.
func (g blockGraph) below(node, kind string) string {
	names := make(map[int64]string, len(g.Nodes))
	for _, n := range g.Nodes {
		names[n.ID] = n.Name
	}
	for _, e := range g.Edges {
		if names[e.Parent] == node && e.Name == kind {
			return names[e.Child]
		}
	}
	return ""
}

func (s shielded) graph(ctx context.Context) (blockGraph, error) {
	return ask(ctx, s.domain, func(d *Domain) (g blockGraph, err error) {
		return g, query(monitor{d.dom}, "x-debug-query-block-graph", &g)
	})
}

// Detach implements shield.Nodes. QEMU has made the base read-only when it was overlaid.
func (s shielded) Detach(ctx context.Context, o shield.Overlay) error {
	base, err := s.writable(ctx, o)
	if err != nil {
		return err
	}
	devices, err := ask(ctx, s.domain, func(d *Domain) ([]device, error) { return d.targetDevices([]string{o.Disk.Target}) })
	if err != nil {
		return err
	}
	type options struct {
		Options []qcow2Node `json:"options"`
	}
	if err := s.send(ctx, "blockdev-reopen", options{[]qcow2Node{base}}); err != nil {
		return err
	}
	drive := property{Path: devices[0].QDev, Property: "drive", Value: o.Base}
	err = s.wait(ctx, "QEMU: qom-set", func(d *Domain) error {
		if err := d.checkStill(); err != nil {
			return err
		}
		return execute(monitor{d.dom}, "qom-set", drive, nil)
	})
	if err != nil {
		return err
	}
	return s.Remove(ctx, o)
}

// checkStill: somebody else may have let the guest go on.
func (d *Domain) checkStill() error {
	state, err := d.state()
	if err == nil && state != orchestrator.Paused {
		err = methods.Blockedf("the guest, which has to stand still, is %s", state)
	}
	return err
}

// property is a property of one of QEMU's objects.
type property struct {
	Path     string `json:"path"`
	Property string `json:"property"`
	Value    string `json:"value"`
}

// writable is the base of an overlay as it was before.
func (s shielded) writable(ctx context.Context, o shield.Overlay) (qcow2Node, error) {
	graph, err := s.graph(ctx)
	if err != nil {
		return qcow2Node{}, err
	}
	file := graph.below(o.Base, "file")
	if file == "" {
		return qcow2Node{}, fmt.Errorf("find the file of block node %s: QEMU has none", o.Base)
	}
	node := nodeOf(o.Base, file, o.Options)
	if backing := graph.below(o.Base, "backing"); backing != "" {
		node.Backing = &backing
	}
	return node, nil
}
