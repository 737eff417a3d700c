package main

import (
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/methods/command"
	fullcopy "github.com/domsnap/domsnap/methods/copy"
	"github.com/domsnap/domsnap/orchestrator/virt"
)

// fullCopy is the method for disks that no other knows.
func (ui *ui) fullCopy(c *cli.Context, host *virt.Host) *fullcopy.Method {
	dir := filepath.Join(c.String(optStateDir), "copies")
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute
	}
	return fullcopy.New(fullcopy.Config{
		Hypervisor: host, Run: command.Host{}, Dir: dir,
		Progress: ui.progressOf,
	})
}
