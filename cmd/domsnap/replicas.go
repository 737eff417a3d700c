package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/export"
	"github.com/domsnap/domsnap/orchestrator/replica"
	"github.com/domsnap/domsnap/orchestrator/replica/pool"
	"github.com/domsnap/domsnap/orchestrator/replica/wire"
)

func (ui *ui) replicaCommands() []*cli.Command {
	const one = "PLACE DOMAIN REPLICA"
	return []*cli.Command{
		ui.replicateCommand(),
		{Name: "replica-list", ArgsUsage: "PLACE [DOMAIN]", Usage: "list the replicas at a place", Action: ui.replicas(1, 2, listReplicas)},
		{Name: "replica-verify", ArgsUsage: one, Usage: "read a replica, and see whether it is what was sent", Action: ui.replicas(3, 3, ui.verifyReplica)},
		{Name: "replica-export", ArgsUsage: one, Usage: "write a disk of a replica to a file", Action: ui.replicas(3, 3, ui.exportReplica),
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "disk", Usage: "the disk `TARGET`"},
				&cli.StringFlag{Name: "file", Usage: "write it to `PATH`"},
				&cli.StringFlag{Name: "format", Usage: "of the file: raw or qcow2", Value: export.Raw},
			}},
		{Name: "replica-copy", ArgsUsage: one, Usage: "bring a replica to yet another place", Action: ui.replicas(3, 3, ui.copyReplica),
			Flags: []cli.Flag{&cli.StringFlag{Name: "to", Usage: "bring it to `PLACE`"}}},
		{Name: "replica-delete", ArgsUsage: one, Usage: "delete a replica, complete or not", Action: ui.replicas(3, 3, deleteReplica)},
		{Name: "replica-prune", ArgsUsage: "PLACE DOMAIN", Usage: "delete the replicas that no rule keeps", Flags: keepFlags(), Action: ui.replicas(2, 2, pruneReplicas)},
		ui.forgetReplicasCommand(),
	}
}

// replicaVerb works on a place, and with no libvirt.
type replicaVerb func(c *cli.Context, p replica.Place) (answer, error)

func (ui *ui) replicas(least, most int, v replicaVerb) cli.ActionFunc {
	return func(c *cli.Context) (err error) {
		if c.NArg() < least || c.NArg() > most {
			return usage("%s takes other arguments: %s", c.Command.Name, c.Command.ArgsUsage)
		}
		target, err := targetOf(c.Args().First(), "PLACE")
		if err != nil {
			return err
		}
		if inPool(c.Args().First()) || inPool(c.String("to")) {
			if err := becomeFullBuild(); err != nil {
				return err
			}
		}
		place, err := target.Open(c.Context)
		if err != nil {
			return err
		}
		defer func() { err = why(err, place.Close()) }()
		a, err := v(c, place)
		if err != nil {
			return err
		}
		return ui.print(a)
	}
}

// inPool says that a place is nothing for this program, where it was built without librbd.
func inPool(text string) bool { return strings.HasPrefix(text, pool.Scheme) }

func listReplicas(c *cli.Context, p replica.Place) (answer, error) {
	all, err := replica.Of(c.Context, p, c.Args().Get(1))
	return answer{all, func(w io.Writer) error {
		t := newTable(w, "Domain", "Name", "Creation Time", "State", "Disks", "Size")
		for i := range all {
			m := &all[i]
			state := m.State
			if size := m.Size(); state == replica.Inbound && size > 0 {
				state = fmt.Sprintf("%s %d %%", state, m.Done()*100/size)
			}
			var disks []string
			for _, d := range m.Disks {
				disks = append(disks, d.Target)
			}
			t.row(dash(m.DomainName), dash(m.Name), m.Created.Format("2006-01-02 15:04:05 -0700"), state, strings.Join(disks, ","), fmt.Sprint(m.Size()))
		}
		return t.flush()
	}}, err
}

// found is the replica that the second and third arguments name.
func found(c *cli.Context, p replica.Place) (*replica.Manifest, error) {
	return replica.Find(c.Context, p, c.Args().Get(1), c.Args().Get(2))
}

func (ui *ui) verifyReplica(c *cli.Context, p replica.Place) (answer, error) {
	m, err := found(c, p)
	if err == nil {
		err = p.Verify(c.Context, m.Key, ui.progressOf("verify "+m.Name))
	}
	return answer{m, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "The replica of %s is what was sent\n", oneLine(m.String()))
		return err
	}}, err
}

func deleteReplica(c *cli.Context, p replica.Place) (answer, error) {
	m, err := found(c, p)
	if err != nil {
		return answer{}, err
	}
	r := orchestrator.DeleteResult{Deleted: []string{m.Name}, PendingDelete: []orchestrator.PendingDelete{}}
	return answer{r, func(w io.Writer) error { return printDeleted(w, r) }}, p.Remove(c.Context, m.Key)
}

func pruneReplicas(c *cli.Context, p replica.Place) (answer, error) {
	opts := replica.PruneOptions{Keep: keepRules(c), Dry: c.Bool("dry-run")}
	if err := opts.Keep.Check(); err != nil {
		return answer{}, usage("%w", err)
	}
	all, err := replica.Of(c.Context, p, c.Args().Get(1))
	if err != nil {
		return answer{}, err
	}
	r, err := replica.Prune(c.Context, p, all, opts)
	return answer{r, func(w io.Writer) error {
		t := newTable(w, "Kept", "Because")
		for _, k := range r.Kept {
			t.row(dash(k.Name), strings.Join(k.Because, ", "))
		}
		if err := t.flush(); err != nil {
			return err
		}
		return printDeleted(w, orchestrator.DeleteResult{Deleted: r.Deleted})
	}}, err
}

// replicaExported is what an export of a replica did.
type replicaExported struct {
	Name         string `json:"name"`
	Disk         string `json:"disk"`
	File         string `json:"file"`
	Format       string `json:"format"`
	Size         int64  `json:"size"`
	BytesWritten int64  `json:"bytes_written"`
}

func (ui *ui) exportReplica(c *cli.Context, p replica.Place) (_ answer, err error) {
	switch format := c.String("format"); {
	case c.String("disk") == "" || c.String("file") == "":
		return answer{}, usage("--disk and --file are needed: which disk, and where to?")
	case format != export.Raw && format != export.Qcow2:
		return answer{}, usage("--format is raw or qcow2, and not %q", format)
	}
	m, err := found(c, p)
	if err != nil {
		return answer{}, err
	}
	e := replicaExported{Name: m.Name, Disk: c.String("disk"), Format: c.String("format")}
	if e.File, err = filepath.Abs(c.String("file")); err != nil {
		return answer{}, err
	}
	content, err := p.Open(c.Context, m.Key, e.Disk)
	if err != nil {
		return answer{}, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	e.Size = content.Size()
	f := export.File{Path: e.File, Format: e.Format, Content: content, Progress: ui.progressOf("export " + e.Disk)}
	e.BytesWritten, err = f.Write(c.Context)
	return answer{e, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Disk %s of the replica of %s exported to %s (%s): %d bytes written\n",
			oneLine(e.Disk), oneLine(m.String()), oneLine(e.File), e.Format, e.BytesWritten)
		return err
	}}, err
}

func (ui *ui) copyReplica(c *cli.Context, p replica.Place) (_ answer, err error) {
	target, err := targetOf(c.String("to"), "--to")
	if err != nil {
		return answer{}, err
	}
	m, err := found(c, p)
	if err != nil {
		return answer{}, err
	}
	to, err := target.Open(c.Context)
	if err != nil {
		return answer{}, err
	}
	defer to.Close()
	moved, err := replica.Copy(c.Context, p, *m, replica.CopyOptions{To: to, Progress: ui.progressOf("copy " + m.Name)})
	value := struct {
		Name       string `json:"name"`
		ID         string `json:"id"`
		To         string `json:"to"`
		BytesMoved int64  `json:"bytes_moved"`
	}{m.Name, m.Snapshot, target.String(), moved}
	return answer{value, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "The replica of %s copied to %s: %d bytes moved\n", oneLine(m.String()), oneLine(value.To), moved)
		return err
	}}, err
}

// replicaServeCommand is what runs on the other host. With DIR in authorized_keys, as its command, one gets no further.
func (ui *ui) replicaServeCommand() *cli.Command {
	return &cli.Command{
		Name: "replica-serve", Hidden: true, ArgsUsage: "[DIR]", Usage: "keep replicas for who asks on standard input, in DIR alone if one is given",
		Action: func(c *cli.Context) error {
			only := c.Args().First()
			if c.NArg() > 1 || only != "" && !filepath.IsAbs(only) {
				return usage("replica-serve takes an absolute path, or none")
			}
			s := wire.Server{Open: func(dir string) (replica.Place, error) {
				if only != "" && filepath.Clean(dir) != filepath.Clean(only) {
					return nil, fmt.Errorf("replicas are kept in %s here, and not in %s", only, dir)
				}
				return replica.OpenStore(dir)
			}}
			// It waits for input, and leaves nothing half-way that a kill would hurt.
			signal.Reset()
			return s.Serve(c.Context, os.Stdin, os.Stdout)
		},
	}
}
