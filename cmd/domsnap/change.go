package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
)

func (ui *ui) changeCommands() []*cli.Command {
	return []*cli.Command{
		{Name: "snapshot-revert", ArgsUsage: "DOMAIN NAME", Usage: "put the disks back in place",
			Flags:  append(revertFlags(), &cli.StringSliceFlag{Name: "disk", Usage: "only the disk `TARGET`, repeatable"}),
			Action: ui.revertAction(2, func(c *cli.Context) (string, []string) { return c.Args().Get(1), c.StringSlice("disk") })},
		{Name: "disk-revert", ArgsUsage: "DOMAIN TARGET NAME", Usage: "put one disk back in place",
			Flags:  revertFlags(),
			Action: ui.revertAction(3, func(c *cli.Context) (string, []string) { return c.Args().Get(2), []string{c.Args().Get(1)} })},
		{Name: "snapshot-delete", ArgsUsage: "DOMAIN NAME", Usage: "delete a snapshot",
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "children", Usage: "and what derives from it"},
				&cli.BoolFlag{Name: "children-only", Usage: "only what derives from it"},
				&cli.BoolFlag{Name: "metadata", Usage: "forget it, touch no storage"},
				&cli.BoolFlag{Name: "dry-run", Usage: "print the plan and change nothing"},
			},
			Action: ui.storage(2, deleteSnapshot)},
		ui.pruneCommand(),
		ui.mirrorCommand(),
		ui.checkCommand(),
		{Name: "recover", ArgsUsage: "[DOMAIN]", Usage: "finish or undo unfinished work",
			Flags:  []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "print the plan and change nothing"}},
			Action: ui.maybeOne(recoverDomains)},
	}
}

func revertFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "force", Usage: "power the domain off first"},
		&cli.BoolFlag{Name: "at-shutdown", Usage: "not now, but when the domain is off next"},
		&cli.BoolFlag{Name: "cancel", Usage: "take back what --at-shutdown has asked for"},
		&cli.BoolFlag{Name: "running", Usage: "start the domain afterwards"},
		&cli.BoolFlag{Name: "paused", Usage: "start it afterwards, paused"},
		&cli.BoolFlag{Name: "off", Usage: "leave it off afterwards"},
		&cli.StringSliceFlag{Name: "map", Usage: "`OLD=NEW`: the disk that was OLD has the target NEW by now, repeatable"},
		&cli.BoolFlag{Name: "no-safety", Usage: "do not keep the present as a snapshot"},
		&cli.BoolFlag{Name: "verify", Usage: "compare the disks with the snapshot afterwards, where they had changed"},
		&cli.BoolFlag{Name: "dry-run", Usage: "print the plan and change nothing"},
	}
}

// revertAction runs a revert; what names the snapshot and the disks.
func (ui *ui) revertAction(arguments int, what func(*cli.Context) (string, []string)) cli.ActionFunc {
	return func(c *cli.Context) error {
		return ui.storage(arguments, func(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
			opts := orchestrator.RevertOptions{Domain: c.Args().First(), Force: c.Bool("force"), NoSafety: c.Bool("no-safety"), Verify: c.Bool("verify")}
			opts.Snapshot, opts.Disks = what(c)
			var err, mapErr error
			opts.After, err = stateAfter(c)
			opts.Map, mapErr = mappings(c)
			if err := errors.Join(err, mapErr, checkWhen(c)); err != nil {
				return answer{}, err
			}
			opts.AtShutdown = c.Bool("at-shutdown")
			switch {
			case c.Bool("cancel"):
				return cancelRevert(ctx, o, opts)
			case opts.AtShutdown && !c.Bool("dry-run"):
				return askRevert(ctx, o, c, opts)
			default:
				return revert(ctx, o, c, opts)
			}
		})(c)
	}
}

// checkWhen: a domain that is powered off is not waited for, and what is taken back has no options.
func checkWhen(c *cli.Context) error {
	if c.Bool("at-shutdown") && c.Bool("force") {
		return usage("choose one of --at-shutdown and --force")
	}
	if !c.Bool("cancel") {
		return nil
	}
	for _, name := range c.LocalFlagNames() {
		if name != "cancel" {
			return usage("--cancel takes no --%s", name)
		}
	}
	return nil
}

// mappings are the values of --map.
func mappings(c *cli.Context) ([]orchestrator.Mapping, error) {
	var all []orchestrator.Mapping
	for _, value := range c.StringSlice("map") {
		from, to, ok := strings.Cut(value, "=")
		if !ok || from == "" || to == "" {
			return nil, usage("--map wants OLD=NEW, two targets, and not %q", value)
		}
		all = append(all, orchestrator.Mapping{From: from, To: to})
	}
	return all, nil
}

func stateAfter(c *cli.Context) (orchestrator.State, error) {
	var wanted []orchestrator.State
	for _, s := range []struct {
		flag  string
		state orchestrator.State
	}{{"running", orchestrator.Running}, {"paused", orchestrator.Paused}, {"off", orchestrator.Shutoff}} {
		if c.Bool(s.flag) {
			wanted = append(wanted, s.state)
		}
	}
	switch len(wanted) {
	case 0:
		return "", nil
	case 1:
		return wanted[0], nil
	default:
		return "", usage("choose one of --running, --paused and --off")
	}
}

func revert(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context, opts orchestrator.RevertOptions) (answer, error) {
	if c.Bool("dry-run") {
		steps, err := o.PlanRevert(ctx, opts)
		return stepsAnswer(steps), err
	}
	r, err := o.Revert(ctx, opts)
	return answer{r, func(w io.Writer) error {
		t := newTable(w, "Target", "In place", "How", "Written", "Took")
		for _, d := range r.Disks {
			t.row(d.Target, yesNo(d.InPlace), string(d.How), fmt.Sprint(d.BytesWritten), fmt.Sprintf("%d ms", d.TookMS))
		}
		if err := t.flush(); err != nil {
			return err
		}
		if r.Safety != nil {
			fmt.Fprintf(w, "What was there before is kept as snapshot %s; snapshot-prune deletes it after %s\n", *r.Safety, lastsUntil(time.Now()))
		}
		if r.Withdrawn != nil {
			fmt.Fprintf(w, "The revert to %s that was asked for at the next shutdown is taken back\n", oneLine(*r.Withdrawn))
		}
		_, err := fmt.Fprintf(w, "Domain %s reverted to %s, now %s\n", oneLine(r.Domain), oneLine(r.RevertedTo), r.DomainState)
		return err
	}}, err
}

func deleteSnapshot(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	opts := orchestrator.DeleteOptions{
		Domain: c.Args().Get(0), Snapshot: c.Args().Get(1),
		Children: c.Bool("children"), ChildrenOnly: c.Bool("children-only"), Metadata: c.Bool("metadata"),
	}
	if c.Bool("dry-run") {
		steps, err := o.PlanDelete(ctx, opts)
		return stepsAnswer(steps), err
	}
	r, err := o.Delete(ctx, opts)
	return answer{r, func(w io.Writer) error { return printDeleted(w, *r) }}, err
}

func printDeleted(w io.Writer, r orchestrator.DeleteResult) error {
	for _, name := range r.Deleted {
		if _, err := fmt.Fprintf(w, "Domain snapshot %s deleted\n", oneLine(name)); err != nil {
			return err
		}
	}
	for _, p := range r.PendingDelete {
		because := oneLine(strings.Join(p.Because, "; "))
		if _, err := fmt.Fprintf(w, "Domain snapshot %s will be deleted later: %s\n", oneLine(p.Name), because); err != nil {
			return err
		}
	}
	return nil
}

// maybeOne is storage for a verb that works on one domain, or on all when none is named.
func (ui *ui) maybeOne(v verb) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() > 1 {
			return usage("%s takes one DOMAIN, or none for all", c.Command.Name)
		}
		return ui.storage(c.NArg(), v)(c)
	}
}

func recoverDomains(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	if c.Bool("dry-run") {
		steps, err := o.PlanRecover(ctx, c.Args().First())
		return stepsAnswer(steps), err
	}
	list, err := o.Recover(ctx, c.Args().First())
	value := struct {
		Domains []orchestrator.Recovered `json:"domains"`
	}{list}
	return answer{value, func(w io.Writer) error {
		for _, r := range list {
			for _, did := range r.Did {
				fmt.Fprintf(w, "%s: %s\n", oneLine(r.Domain), oneLine(did))
			}
		}
		return nil
	}}, err
}

func stepsAnswer(steps []orchestrator.PlannedStep) answer {
	type plan struct {
		Steps []orchestrator.PlannedStep `json:"steps"`
	}
	value := struct {
		Plan plan `json:"plan"`
	}{plan{steps}}
	return answer{value, func(w io.Writer) error { return printSteps(w, steps) }}
}

func printSteps(w io.Writer, steps []orchestrator.PlannedStep) error {
	for i, s := range steps {
		mark := " "
		if s.Window {
			mark = "*"
		}
		if _, err := fmt.Fprintf(w, "%2d %s %s\n", i+1, mark, oneLine(s.Step)); err != nil {
			return err
		}
	}
	return nil
}
