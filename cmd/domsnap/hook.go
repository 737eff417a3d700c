package main

import (
	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/xmlspec"
)

func (ui *ui) hookCommand() *cli.Command {
	return &cli.Command{
		Name: "hook", ArgsUsage: "qemu NAME OPERATION SUBOPERATION EXTRA",
		Usage:  "answer libvirt's hook: a half-reverted domain does not start, and one that has ended is reverted where that was asked for",
		Action: ui.hook,
	}
}

// hook must not call libvirt, which waits for it, and is over at once where there is nothing to decide.
func (ui *ui) hook(c *cli.Context) error {
	if c.NArg() != 5 || c.Args().First() != "qemu" {
		return usage("hook takes what libvirt hands to its hooks: %s", c.Command.ArgsUsage)
	}
	answer := answerTo(c.Args().Get(2), c.Args().Get(3))
	if answer == nil {
		return nil
	}
	id, err := xmlspec.ReadDomainID(ui.in)
	if err != nil {
		return err
	}
	return answer(c, id)
}

// answerTo is what is done about what libvirt does; nil for nothing. Whatever starts QEMU (a boot, a restore of a saved
// domain, an incoming migration, a revert to one of libvirt's own snapshots), libvirt asks at its preparation; a restore
// begins before. Whatever ends it, also where a start did not work, its release comes last.
func answerTo(operation, suboperation string) func(*cli.Context, xmlspec.DomainID) error {
	switch operation + " " + suboperation {
	case "prepare begin":
		return vetoBy(orchestrator.Veto)
	case "restore begin":
		return vetoBy(orchestrator.VetoRestore)
	case "release end":
		return noticeEnd
	default:
		return nil
	}
}

func vetoBy(veto func(stateDir string, d xmlspec.DomainID) error) func(*cli.Context, xmlspec.DomainID) error {
	return func(c *cli.Context, d xmlspec.DomainID) error { return veto(c.String(optStateDir), d) }
}

// noticeEnd leaves what is asked for at the shutdown to a process for which libvirt does not wait.
func noticeEnd(c *cli.Context, d xmlspec.DomainID) error {
	if !orchestrator.Asked(c.String(optStateDir), d.UUID) {
		return nil
	}
	return startDue(c, d.UUID)
}
