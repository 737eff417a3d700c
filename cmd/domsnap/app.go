package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/btrfs"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/methods/lvm"
	"github.com/domsnap/domsnap/methods/qemu"
	"github.com/domsnap/domsnap/methods/rbd"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/virt"
)

// The names of the global options.
const (
	optConnect    = "connect"
	optOutput     = "output"
	optStateDir   = "state-dir"
	optQuiet      = "quiet"
	optVerbose    = "verbose"
	optNoProgress = "no-progress"
)

func newApp(ui *ui) *cli.App {
	cli.VersionFlag = &cli.BoolFlag{Name: "version", Usage: "print the version", DisableDefaultText: true}
	return &cli.App{
		Name: "domsnap", Version: version,
		Usage:     "snapshots of libvirt domains over any storage, and back in place",
		UsageText: "domsnap [global options] COMMAND [options] ARGUMENTS",
		Writer:    ui.out, ErrWriter: ui.err,
		Flags:                  globalFlags(),
		Commands:               ui.commands(),
		Before:                 ui.setUp,
		ExitErrHandler:         func(*cli.Context, error) {},
		OnUsageError:           func(_ *cli.Context, err error, _ bool) error { return usage("%w", err) },
		CommandNotFound:        ui.unknownCommand,
		HideHelpCommand:        true,
		UseShortOptionHandling: true,
		// A --diskspec has commas of its own.
		DisableSliceFlagSeparator: true,
	}
}

func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: optConnect, Aliases: []string{"c"}, Usage: "connect to libvirt at `URI`", EnvVars: []string{"LIBVIRT_DEFAULT_URI"}},
		&cli.StringFlag{Name: optOutput, Aliases: []string{"o"}, Usage: "print a `FORMAT`: table or json", Value: "table"},
		&cli.StringFlag{Name: optStateDir, Usage: "keep locks and the journal in `DIR`", Value: "/var/lib/domsnap", EnvVars: []string{"DOMSNAP_STATE_DIR"}},
		engineFlag(),
		&cli.BoolFlag{Name: optQuiet, Aliases: []string{"q"}, Usage: "say nothing but the result"},
		&cli.BoolFlag{Name: optVerbose, Aliases: []string{"v"}, Usage: "tell each step and its time; twice: whole commands in errors"},
		&cli.BoolFlag{Name: optNoProgress, Usage: "draw no progress, which is drawn only on a terminal, and not with --output json"},
	}
}

// innerCommands are for programs, this one among them.
func (ui *ui) innerCommands() []*cli.Command {
	return []*cli.Command{ui.hookCommand(), guardianCommand(), ui.leaseCommand(), ui.dueCommand(), ui.completeCommand(), ui.manCommand(), ui.replicaServeCommand()}
}

func (ui *ui) commands() []*cli.Command {
	all := slices.Concat(ui.lookCommands(), ui.createCommands(), ui.changeCommands(), ui.replicaCommands(), ui.innerCommands())
	for _, c := range all {
		c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usage("%w", err) }
		c.HideHelpCommand = true
	}
	return all
}

// verb is a command that runs on an orchestrator and answers a value to print.
type verb func(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error)

// action runs a verb on a connection of its own, and not where libvirt waits for it.
func (ui *ui) action(arguments int, v verb) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() != arguments {
			return usage("%s takes %d arguments: %s", c.Command.Name, arguments, c.Command.ArgsUsage)
		}
		if err := checkNoHook(c.Command); err != nil {
			return err
		}
		host, err := virt.Connect(c.Context, c.String(optConnect))
		if err != nil {
			return err
		}
		// Whatever closing says, it does not change how the verb ended.
		defer host.Close()
		o, err := ui.orchestrator(c, host)
		if err != nil {
			return err
		}
		a, err := v(c.Context, o, c)
		if err != nil {
			return err
		}
		return ui.print(a)
	}
}

// storage is action for a verb that works on storages, and so wants every method this installation has.
func (ui *ui) storage(arguments int, v verb) cli.ActionFunc {
	plain := ui.action(arguments, v)
	return func(c *cli.Context) error {
		if err := becomeFullBuild(); err != nil {
			return err
		}
		return plain(c)
	}
}

func (ui *ui) orchestrator(c *cli.Context, host *virt.Host) (*orchestrator.Orchestrator, error) {
	all, err := withEngines(c, append(builtIn(host), ui.fullCopy(c, host)))
	if err != nil {
		return nil, err
	}
	return orchestrator.New(orchestrator.Config{
		Hypervisor: host,
		Methods:    all,
		DiskAccess: image.Access{},
		Run:        command.Host{},
		StateDir:   c.String(optStateDir),
		Guardian:   startGuardian(c),
		Watch:      ui.watch,
	}), nil
}

func builtIn(host *virt.Host) methods.Set {
	run := command.Host{}
	return methods.Set{qemu.New(host, run), qemu.NewInternal(host, run), lvm.New(run), btrfs.New(), btrfs.NewReflink(), rbd.New()}
}

func (ui *ui) unknownCommand(_ *cli.Context, name string) {
	ui.failed = usage("there is no command %q: see domsnap --help", name)
}

func usage(format string, args ...any) error {
	return &orchestrator.Problem{Kind: orchestrator.ErrUsage, Err: fmt.Errorf(format, args...)}
}
