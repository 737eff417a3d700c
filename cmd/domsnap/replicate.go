package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/replica"
	"github.com/domsnap/domsnap/orchestrator/replica/pool"
	"github.com/domsnap/domsnap/orchestrator/replica/wire"
)

const placeHelp = "PLACE is file:/DIR, a directory of this host on any file system, or ssh://[USER@]HOST[:PORT]/DIR, one of a host with\n" +
	"domsnap on it, where ssh gets in without asking; DIR is made, in a directory that is there. Or it is\n" +
	"rbd:POOL[/NAMESPACE][:id=USER][:conf=FILE], a pool of a Ceph cluster, where each disk is an image and each replica a snapshot\n" +
	"of it; another cluster is the one that FILE, its ceph.conf by an absolute path, names."

func (ui *ui) replicateCommand() *cli.Command {
	return &cli.Command{
		Name: "snapshot-replicate", ArgsUsage: "DOMAIN NAME", Usage: "bring a snapshot to another place, in full or what has changed",
		Description: placeHelp + "\n\n" +
			"The replica begins as the youngest one there that is older, of a snapshot that is still here if there is one, and gets\n" +
			"what differs: what the storage says has changed, or else what has other sums there than here. It is inbound until all of\n" +
			"it is there, durable and read again: a sixteenth of it where the storage over there has checksums (btrfs, Ceph), and\n" +
			"replica-verify reads everything. Called again after it was cut, it goes on where it was.\n\n" +
			"The snapshot stays as long as that takes, and from then on until another one is replicated to the same place: the next\n" +
			"increment begins with it. Where there is to be none: replica-forget.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "bring it to `PLACE`"},
			&cli.StringSliceFlag{Name: "disk", Usage: "only the disk `TARGET`, repeatable"},
			&cli.BoolFlag{Name: "compare", Usage: "read all of it, whatever the storage says has changed"},
		},
		Action: ui.replicate,
	}
}

// replicate finds out what is wrong with the options before anything else.
func (ui *ui) replicate(c *cli.Context) error {
	to, err := targetOf(c.String("to"), "--to")
	if err != nil {
		return err
	}
	// A pool wants the full build at once; else it is seen what the snapshots want.
	act := ui.action
	if inPool(to.String()) {
		act = ui.storage
	}
	return act(2, func(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (_ answer, err error) {
		place, err := to.Open(ctx)
		if err != nil {
			return answer{}, err
		}
		defer func() { err = why(err, place.Close()) }()
		r, err := o.Replicate(ctx, orchestrator.ReplicateOptions{
			Domain: c.Args().Get(0), Snapshot: c.Args().Get(1), Disks: c.StringSlice("disk"),
			To: to.String(), Place: place, Compare: c.Bool("compare"),
			Unlinked: becomeFullBuild,
		})
		return answer{r, func(w io.Writer) error { return printReplicated(w, r) }}, err
	})(c)
}

// why adds what the end of a connection says to the error that it is the reason of.
func why(err, end error) error {
	if err == nil {
		return nil
	}
	return errors.Join(err, end)
}

// target names a place of replicas.
type target interface {
	Open(ctx context.Context) (replica.Place, error)
	// String is the one way to write it.
	String() string
}

func targetOf(text, what string) (t target, err error) {
	switch {
	case text == "":
		return nil, usage("%s is missing: file:/DIR, ssh://HOST/DIR or rbd:POOL", what)
	case inPool(text):
		t, err = pool.ParseTarget(text)
	default:
		t, err = wire.ParseTarget(text)
	}
	if err != nil {
		return nil, usage("%w", err)
	}
	return t, nil
}

func printReplicated(w io.Writer, r *orchestrator.Replicated) error {
	if r.Already {
		fmt.Fprintf(w, "Snapshot %s is at %s already\n", oneLine(r.Name), oneLine(r.To))
		return printDeleted(w, orchestrator.DeleteResult{Deleted: r.Deleted})
	}
	t := newTable(w, "Disk", "Size", "How", "Read", "Moved")
	for _, d := range r.Disks {
		t.row(d.Target, fmt.Sprint(d.Size), string(d.How), fmt.Sprint(d.BytesRead), fmt.Sprint(d.BytesMoved))
	}
	if err := t.flush(); err != nil {
		return err
	}
	var notes []string
	if r.Base != nil {
		notes = append(notes, "from "+*r.Base)
	}
	if r.Resumed {
		notes = append(notes, "after a cut")
	}
	fmt.Fprintf(w, "Snapshot %s replicated to %s %s: %d bytes moved\n",
		oneLine(r.Name), oneLine(r.To), oneLine(strings.Join(notes, ", ")), r.BytesMoved)
	return printDeleted(w, orchestrator.DeleteResult{Deleted: r.Deleted})
}

func (ui *ui) forgetReplicasCommand() *cli.Command {
	return &cli.Command{
		Name: "replica-forget", ArgsUsage: "DOMAIN", Usage: "keep no snapshot here any more for replicas at a place",
		Flags: []cli.Flag{&cli.StringFlag{Name: "to", Usage: "at `PLACE`"}},
		Action: func(c *cli.Context) error {
			to, err := targetOf(c.String("to"), "--to")
			if err != nil {
				return err
			}
			return ui.storage(1, func(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
				r, err := o.ForgetReplicas(ctx, c.Args().First(), to.String())
				return answer{r, func(w io.Writer) error { return printDeleted(w, *r) }}, err
			})(c)
		},
	}
}
