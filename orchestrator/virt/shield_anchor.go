package virt

import (
	"context"
	"errors"

	"github.com/domsnap/domsnap/orchestrator/shield"
)

// anchorNode is the node that QEMU does not migrate with, by a name that says something to who is told.
const anchorNode = "domsnap-shield"

type anchor struct {
	Driver   string     `json:"driver"`
	Node     string     `json:"node-name"`
	ReadOnly bool       `json:"read-only"`
	File     anchorFile `json:"file"`
}

type anchorFile struct {
	Driver   string `json:"driver"`
	Filename string `json:"filename"`
}

// Forbid implements shield.Migration.
func (s shielded) Forbid(ctx context.Context, file string) error {
	err := s.send(ctx, "blockdev-add", anchor{shield.AnchorFormat, anchorNode, true, anchorFile{"file", file}})
	var refused *qmpError
	if errors.As(err, &refused) {
		return cannotOpen("the anchor of the shield", file, refused)
	}
	return err
}

// Allow implements shield.Migration.
func (s shielded) Allow(ctx context.Context) error {
	nodes, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	return s.del(ctx, nodes, anchorNode)
}
