package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
)

func (ui *ui) lookCommands() []*cli.Command {
	const one = "DOMAIN NAME"
	return []*cli.Command{
		ui.domainsCommand(),
		{Name: "disks", ArgsUsage: "DOMAIN", Usage: "show each disk, its method and what stands in the way", Action: ui.storage(1, disks)},
		{Name: "methods", Usage: "show every method and whether it works on this host", Action: ui.methodsAction},
		{Name: "snapshot-info", ArgsUsage: one, Usage: "show one snapshot", Action: ui.storage(2, info)},
		{Name: "snapshot-current", ArgsUsage: "DOMAIN", Usage: "show the snapshot the present derives from", Action: ui.action(1, current)},
		{Name: "snapshot-parent", ArgsUsage: one, Usage: "show the snapshot another one derives from", Action: ui.action(2, parent)},
		{Name: "snapshot-dumpxml", ArgsUsage: one, Usage: "print a snapshot as XML that snapshot-create reads", Action: ui.action(2, dumpXML)},
		{Name: "snapshot-source", ArgsUsage: one, Usage: "print the read-only backup sources of a snapshot", Action: ui.action(2, source),
			Flags: []cli.Flag{&cli.StringFlag{Name: "disk", Usage: "only of the disk `TARGET`"}}},
		ui.exportCommand(),
		ui.listCommand(),
	}
}

func disks(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	list, err := o.Disks(ctx, c.Args().First())
	return answer{list, func(w io.Writer) error {
		t := newTable(w, "Target", "Method", "Mode", "Revert", "Source")
		for _, d := range list {
			t.row(d.Target, dash(d.Method), dash(d.Mode), wayBack(d.Probed), dash(d.Source))
			t.note(d.Why)
			for _, b := range d.Blockers {
				t.note("blocked: " + b)
			}
		}
		return t.flush()
	}}, err
}

func wayBack(p *orchestrator.Probe) string {
	if p == nil {
		return "-"
	}
	return dash(string(p.Revert))
}

// methodsAction needs no libvirt: what it tells is about this host.
func (ui *ui) methodsAction(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("methods takes no arguments")
	}
	if err := becomeFullBuild(); err != nil {
		return err
	}
	o, err := ui.orchestrator(c, nil)
	if err != nil {
		return err
	}
	return ui.print(methodsAnswer(o.MethodReports(c.Context)))
}

// verbs lists the optional verbs that matter to people.
func verbs(v methods.Verbs) string {
	var list []string
	for _, verb := range []struct {
		name string
		has  bool
	}{{"prepare", v.Prepare}, {"revert", v.Revert}, {"keep", v.Keep}, {"merge", v.Merge}, {"changes", v.Changes}, {"source", v.Source}} {
		if verb.has {
			list = append(list, verb.name)
		}
	}
	return dash(strings.Join(list, " "))
}

func methodsAnswer(list []orchestrator.MethodReport) answer {
	return answer{list, func(w io.Writer) error {
		t := newTable(w, "Method", "Mode", "Works", "Verbs")
		for _, m := range list {
			t.row(m.Name, dash(m.Capabilities.Mode), yesNo(m.Works), verbs(m.Capabilities.Verbs))
			t.note(m.Summary)
			if !m.Works {
				t.note("needs: " + m.Needs)
			}
		}
		return t.flush()
	}}
}

func info(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	s, err := o.Info(ctx, c.Args().Get(0), c.Args().Get(1))
	return snapshotAnswer(s), err
}

func current(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	s, err := o.Current(ctx, c.Args().First())
	return snapshotAnswer(s), err
}

func parent(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	s, err := o.Parent(ctx, c.Args().Get(0), c.Args().Get(1))
	return snapshotAnswer(s), err
}

func dumpXML(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	text, err := o.DumpXML(ctx, c.Args().Get(0), c.Args().Get(1))
	value := struct {
		XML string `json:"xml"`
	}{text}
	return answer{value, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}}, err
}

func source(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	list, err := o.Sources(ctx, c.Args().Get(0), c.Args().Get(1), c.String("disk"))
	return answer{list, func(w io.Writer) error {
		for _, d := range list {
			if _, err := fmt.Fprintln(w, oneLine(d.BackupSource.XML)); err != nil {
				return err
			}
		}
		return nil
	}}, err
}

// snapshotAnswer prints one snapshot as virsh prints facts: a name and a value a line.
func snapshotAnswer(s *orchestrator.Snapshot) answer {
	return answer{s, func(w io.Writer) error {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		line := func(name string, value any) { fmt.Fprintf(t, "%s:\t%s\n", oneLine(name), oneLine(fmt.Sprint(value))) }
		line("Name", s.Name)
		line("Domain", s.Domain)
		line("Id", s.ID)
		line("State", strings.TrimSuffix(s.State+": "+s.Reason, ": "))
		line("Current", yesNo(s.Current))
		if s.RevertAtShutdown {
			line("Revert", "at the next shutdown")
		}
		line("Parent", deref(s.Parent))
		line("Children", s.Children())
		for _, n := range s.Holds {
			line("Read by", n)
		}
		line("Created", s.Created.Format("2006-01-02T15:04:05Z"))
		line("Consistency", s.Consistency.Level)
		line("Guest held", fmt.Sprintf("%d ms frozen, %d ms paused", s.Consistency.FrozenMS, s.Consistency.PausedMS))
		for _, note := range s.Consistency.Skipped {
			line("Note", note)
		}
		for _, d := range s.Disks {
			line("Disk "+d.Target, fmt.Sprintf("%s  %s", strings.TrimSpace(d.Method+" "+d.Mode), d.Ref))
		}
		return t.Flush()
	}}
}
