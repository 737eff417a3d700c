package main

import (
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
	veto := vetoOf(c.Args().Get(2), c.Args().Get(3))
	if veto == nil {
		return nil
	}
	id, err := xmlspec.ReadDomainID(ui.in)
	if err != nil {
		return err
	}
	return veto(c.String(optStateDir), id)
}

// vetoOf is who has a say; nil for nobody. A restore begins before QEMU does.
func vetoOf(operation, suboperation string) func(string, xmlspec.DomainID) error {
	switch {
	case starts(operation, suboperation):
		return orchestrator.Veto
	case operation == "restore" && suboperation == "begin":
		return orchestrator.VetoRestore
	default:
		return nil
	}
}

// starts says that QEMU is about to be started. Whatever starts it (a boot, a restore of a saved domain, an incoming
// migration, a revert to one of libvirt's own snapshots), libvirt asks this first.
func starts(operation, suboperation string) bool {
	return operation == "prepare" && suboperation == "begin"
}
