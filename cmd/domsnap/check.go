package main

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
)

func (ui *ui) checkCommand() *cli.Command {
	return &cli.Command{
		Name: "check", ArgsUsage: "[DOMAIN]", Usage: "compare the records with the storages, and find what is wrong",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "repair",
				Usage: "write the records again where one of them is lost, and put disks back onto their own images; nothing is deleted"},
			&cli.StringFlag{Name: "adopt", Usage: "with --repair: record the snapshot `ID`, which the storages have, as ds-ID-DISK, and nobody has recorded"},
		},
		Action: ui.maybeOne(check),
	}
}

func check(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	if c.IsSet("adopt") && !c.Bool("repair") {
		return answer{}, usage("--adopt goes with --repair")
	}
	var r *orchestrator.CheckResult
	var err error
	if c.Bool("repair") {
		r, err = o.Repair(ctx, c.Args().First(), c.String("adopt"))
	} else {
		r, err = o.Check(ctx, c.Args().First())
	}
	return answer{r, func(w io.Writer) error { return printChecked(w, r) }}, err
}

func printChecked(w io.Writer, r *orchestrator.CheckResult) error {
	for _, did := range r.Repaired {
		fmt.Fprintf(w, "%s\n", oneLine(did))
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(w, "%s: %s: %s\n", oneLine(f.Domain), f.Kind, oneLine(f.What)); err != nil {
			return err
		}
		if f.Fix != "" {
			fmt.Fprintf(w, "  %s\n", oneLine(f.Fix))
		}
	}
	for _, u := range r.Unchecked {
		fmt.Fprintf(w, "not checked: %s\n", oneLine(u))
	}
	if !r.OK {
		return nil
	}
	_, err := fmt.Fprintln(w, "Everything is as it is recorded")
	return err
}
