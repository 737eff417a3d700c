package main

import (
	"io"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/xmlspec"
)

func (ui *ui) hookCommand() *cli.Command {
	return &cli.Command{
		Name: "hook", ArgsUsage: "qemu NAME OPERATION SUBOPERATION EXTRA",
		Usage:  "answer libvirt's hook: a half-reverted domain does not start",
		Action: ui.hook,
	}
}

// hook must not call libvirt, which waits for it, and is over at once where there is nothing to decide.
func (ui *ui) hook(c *cli.Context) error {
	if c.NArg() != 5 || c.Args().First() != "qemu" {
		return usage("hook takes what libvirt hands to its hooks: %s", c.Command.ArgsUsage)
	}
	if !starts(c.Args().Get(2), c.Args().Get(3)) {
		return nil
	}
	return mayStart(c.String(optStateDir), ui.in)
}

// starts says that QEMU is about to be started. Whatever starts it (a boot, a restore of a saved domain, an incoming
// migration, a revert to one of libvirt's own snapshots), libvirt asks this first.
func starts(operation, suboperation string) bool {
	return operation == "prepare" && suboperation == "begin"
}

func mayStart(stateDir string, domain io.Reader) error {
	id, err := xmlspec.ReadDomainID(domain)
	if err != nil {
		return err
	}
	return orchestrator.Veto(stateDir, id)
}
