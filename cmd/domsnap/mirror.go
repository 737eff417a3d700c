package main

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
)

func (ui *ui) mirrorCommand() *cli.Command {
	return &cli.Command{
		Name: "snapshot-mirror", ArgsUsage: "DOMAIN", Usage: "have virsh snapshot-list and virt-manager show the snapshots too",
		Description: "The price: while libvirt has snapshots of a domain it does not migrate it live, and does not undefine it without\n" +
			"--snapshots-metadata. They are there to be seen: virsh snapshot-revert to one stops the guest and puts no disk back,\n" +
			"and virsh snapshot-delete deletes what is shown and leaves the snapshot. check finds both.",
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "off", Usage: "show them no more"}},
		Action: ui.storage(1, mirror),
	}
}

func mirror(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	r, err := o.Mirror(ctx, c.Args().First(), !c.Bool("off"))
	return answer{r, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "libvirt shows %d snapshots of domain %s\n", len(r.Shown), oneLine(r.Domain))
		return err
	}}, err
}
