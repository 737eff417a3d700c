package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/xmlspec"
)

// maxDescriptor is the most that is read of a descriptor, one byte more than the parser takes.
const maxDescriptor = 1<<20 + 1

func (ui *ui) createCommands() []*cli.Command {
	as := append([]cli.Flag{
		&cli.StringFlag{Name: "description", Usage: "say `TEXT` about it"},
		&cli.StringFlag{Name: "descriptor", Usage: "read which method takes which disk from `FILE`"},
		&cli.StringSliceFlag{Name: "diskspec", Usage: "`TARGET[,snapshot=no][,method=M][,KEY=VALUE...]`, repeatable"},
	}, createFlags()...)
	return []*cli.Command{
		{Name: "snapshot-create", ArgsUsage: "DOMAIN [FILE|-]", Usage: "take a snapshot by a descriptor",
			Flags: createFlags(), Action: ui.createAction("snapshot-create takes DOMAIN and a descriptor's FILE", fromFile)},
		{Name: "snapshot-create-as", ArgsUsage: "DOMAIN [NAME]", Usage: "take a snapshot by options",
			Flags: as, Action: ui.createAction("snapshot-create-as takes DOMAIN and a NAME", fromOptions)},
	}
}

func createFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "quiesce", Usage: "require, try or no: freeze the guest's file systems", Value: string(quiesce.Try)},
		&cli.BoolFlag{Name: "no-pause", Usage: "do not pause a guest that cannot be frozen"},
		&cli.DurationFlag{Name: "freeze-timeout", Usage: "give the freeze this long", Value: quiesce.FreezeTimeout},
		&cli.BoolFlag{Name: "hold", Usage: "hold the guest until every disk is taken"},
		&cli.BoolFlag{Name: "shield", Usage: "hold it for one transaction, which puts the disks onto overlays until they are taken"},
		&cli.DurationFlag{Name: "shield-timeout", Usage: "give up what takes longer behind the shield", Value: orchestrator.DefaultShieldTimeout},
		&cli.BoolFlag{Name: "temporary", Usage: "delete it by itself when the process that called domsnap ends"},
		&cli.DurationFlag{Name: "lease", Usage: "with --temporary: delete it after `TIME` instead"},
		&cli.BoolFlag{Name: "dry-run", Usage: "print the plan and change nothing"},
	}
}

// createAction is action for the two commands whose second argument may be left out.
func (ui *ui) createAction(takes string, read func(*cli.Context) (orchestrator.CreateOptions, error)) cli.ActionFunc {
	return func(c *cli.Context) error {
		if n := c.NArg(); n < 1 || n > 2 {
			return usage("%s", takes)
		}
		return ui.storage(c.NArg(), func(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
			opts, err := read(c)
			if err == nil {
				err = commonOptions(c, &opts)
			}
			if err != nil {
				return answer{}, err
			}
			return create(ctx, o, c, opts)
		})(c)
	}
}

func create(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context, opts orchestrator.CreateOptions) (answer, error) {
	if c.Bool("dry-run") {
		p, err := o.PlanCreate(ctx, opts)
		return createPlanAnswer(p), err
	}
	s, err := o.Create(ctx, opts)
	if err == nil && s.Temporary {
		if err := keepLease(c, s, opts.Lease); err != nil {
			// It is there, and recover deletes it as well.
			fmt.Fprintf(c.App.ErrWriter, "domsnap: %v\n", err)
		}
	}
	return answer{s, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Domain snapshot %s created (%s)\n", s.Name, held(s.Consistency))
		return err
	}}, err
}

func held(c orchestrator.Consistency) string {
	switch {
	case c.FilesystemsFrozen > 0 && c.PausedMS > 0:
		return fmt.Sprintf("%d file systems frozen for %d ms, guest paused for %d ms", c.FilesystemsFrozen, c.FrozenMS, c.PausedMS)
	case c.FilesystemsFrozen > 0:
		return fmt.Sprintf("%d file systems frozen for %d ms", c.FilesystemsFrozen, c.FrozenMS)
	case c.PausedMS > 0:
		return fmt.Sprintf("guest paused for %d ms", c.PausedMS)
	case c.Level == string(quiesce.Offline):
		return "the domain was off"
	default:
		return "the guest was not held"
	}
}

func createPlanAnswer(p *orchestrator.Plan) answer {
	type document struct {
		Plan *orchestrator.Plan `json:"plan"`
	}
	return answer{document{p}, func(w io.Writer) error {
		t := newTable(w, "Target", "Method", "Mode", "Ref")
		for _, d := range p.Disks {
			t.row(d.Target, d.Method, dash(d.Mode), d.Ref)
			t.note(d.Why)
		}
		for _, s := range p.Skipped {
			t.row(s.Target, "-", "-", "-")
			t.note(s.Why)
		}
		if err := t.flush(); err != nil {
			return err
		}
		return printSteps(w, p.Steps)
	}}
}

// commonOptions reads what both commands have.
func commonOptions(c *cli.Context, opts *orchestrator.CreateOptions) error {
	opts.Domain = c.Args().First()
	opts.NoPause, opts.FreezeTimeout = c.Bool("no-pause"), c.Duration("freeze-timeout")
	if opts.ShieldTimeout = c.Duration("shield-timeout"); opts.ShieldTimeout < time.Second {
		return usage("--shield-timeout is at least 1s, not %s", opts.ShieldTimeout)
	}
	var err error
	if opts.Way, err = readWay(c); err != nil {
		return err
	}
	if opts.Lease, err = readLease(c); err != nil {
		return err
	}
	if t := opts.FreezeTimeout; t < time.Second || t > quiesce.MaxFreezeTimeout {
		return usage("--freeze-timeout is between 1s and %s, not %s", quiesce.MaxFreezeTimeout, t)
	}
	switch p := quiesce.Policy(c.String("quiesce")); p {
	case quiesce.Require, quiesce.Try, quiesce.No:
		opts.Quiesce = p
		return nil
	default:
		return usage("--quiesce is require, try or no, not %q", p)
	}
}

// readWay is the zero value where neither way was asked for.
func readWay(c *cli.Context) (orchestrator.Way, error) {
	switch hold, shield := c.Bool("hold"), c.Bool("shield"); {
	case hold && shield:
		return "", usage("--hold and --shield are two ways: choose one")
	case hold:
		return orchestrator.Hold, nil
	case shield:
		return orchestrator.Shield, nil
	default:
		return "", nil
	}
}

func fromFile(c *cli.Context) (orchestrator.CreateOptions, error) {
	if c.NArg() == 1 {
		return orchestrator.CreateOptions{}, nil
	}
	d, err := readDescriptor(c.Args().Get(1), c.App.Reader)
	return orchestrator.CreateOptions{Descriptor: d}, err
}

func fromOptions(c *cli.Context) (orchestrator.CreateOptions, error) {
	opts := orchestrator.CreateOptions{Name: c.Args().Get(1), Description: c.String("description")}
	opts.Descriptor = &xmlspec.Descriptor{}
	if path := c.String("descriptor"); path != "" {
		d, err := readDescriptor(path, c.App.Reader)
		if err != nil {
			return opts, err
		}
		opts.Descriptor = d
	}
	for _, text := range c.StringSlice("diskspec") {
		disk, err := xmlspec.ParseDiskSpec(text)
		if err != nil {
			return opts, err
		}
		opts.Descriptor.Override(disk)
	}
	return opts, nil
}

func readDescriptor(path string, stdin io.Reader) (*xmlspec.Descriptor, error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, usage("read descriptor: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxDescriptor))
	if err != nil {
		return nil, usage("read descriptor: %w", err)
	}
	d, err := xmlspec.ParseDescriptor(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}
