package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/keep"
)

func (ui *ui) pruneCommand() *cli.Command {
	return &cli.Command{
		Name: "snapshot-prune", ArgsUsage: "DOMAIN", Usage: "delete the snapshots that no rule keeps",
		Flags: append(keepFlags(),
			&cli.DurationFlag{Name: "keep-safety", Usage: "keep what reverts have made for `TIME`", Value: orchestrator.SafetyFor}),
		Action: ui.storage(1, prune),
	}
}

// keepFlags are the rules by which points in time are kept.
func keepFlags() []cli.Flag {
	count := func(name, usage string) cli.Flag {
		return &cli.IntFlag{Name: name, Usage: usage + "; -1 for all", DefaultText: "0"}
	}
	return []cli.Flag{
		count("keep-last", "keep the `N` youngest"),
		count("keep-hourly", "keep the youngest of each of `N` hours in which there is one"),
		count("keep-daily", "the same of `N` days"),
		count("keep-weekly", "the same of `N` weeks, which begin on Monday"),
		count("keep-monthly", "the same of `N` months"),
		count("keep-yearly", "the same of `N` years"),
		&cli.BoolFlag{Name: "dry-run", Usage: "print the plan and change nothing"},
	}
}

func keepRules(c *cli.Context) keep.Rules {
	return keep.Rules{
		Last: c.Int("keep-last"), Hourly: c.Int("keep-hourly"), Daily: c.Int("keep-daily"),
		Weekly: c.Int("keep-weekly"), Monthly: c.Int("keep-monthly"), Yearly: c.Int("keep-yearly"),
	}
}

func prune(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	opts := orchestrator.PruneOptions{Domain: c.Args().First(), SafetyFor: c.Duration("keep-safety"), Keep: keepRules(c)}
	if c.Bool("dry-run") {
		steps, err := o.PlanPrune(ctx, opts)
		return stepsAnswer(steps), err
	}
	r, err := o.Prune(ctx, opts)
	return answer{r, func(w io.Writer) error { return printPruned(w, r) }}, err
}

func printPruned(w io.Writer, r *orchestrator.PruneResult) error {
	t := newTable(w, "Kept", "Because")
	for _, k := range r.Kept {
		t.row(k.Name, strings.Join(k.Because, ", "))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := printDeleted(w, r.DeleteResult); err != nil || len(r.Ancestors) == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "The present derives from %s\n", oneLine(strings.Join(r.Ancestors, ", ")))
	return err
}

// lastsUntil is when the first prune may take away a safety snapshot that is made now.
func lastsUntil(now time.Time) string { return now.Add(orchestrator.SafetyFor).Format(time.DateOnly) }
