package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/export"
)

func (ui *ui) exportCommand() *cli.Command {
	return &cli.Command{
		Name: "snapshot-export", ArgsUsage: "DOMAIN NAME", Usage: "give others the content of a disk's snapshot, as a file or over NBD",
		Description: "The snapshot stays as long as that takes: a delete meanwhile is done at the end.\n\n" +
			"--nbd answers at the socket PATH, once that is there, as nbd+unix:///?socket=PATH, until its last reader has gone, or\n" +
			"until it is told to stop. PATH is where nobody else can put a socket in its place. With --since the context\n" +
			"qemu:dirty-bitmap:changes says what has changed.\n\n" +
			"--file writes PATH, which must not be there, and keeps its holes. With --since a raw file has what has changed and\n" +
			"holes elsewhere, and PATH.extents.json is {\"size\":BYTES,\"extents\":[{\"offset\":BYTES,\"length\":BYTES},…]};\n" +
			"a qcow2 file is an overlay to be put onto the older content: qemu-img rebase -u -b OLDER -F FORMAT PATH.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "disk", Usage: "the disk `TARGET`"},
			&cli.StringFlag{Name: "nbd", Usage: "serve it at `unix:PATH`, to be read only"},
			&cli.StringFlag{Name: "file", Usage: "write it to `PATH`"},
			&cli.StringFlag{Name: "format", Usage: "of the file: raw or qcow2", Value: export.Raw},
			&cli.StringFlag{Name: "since", Usage: "only what has changed since the snapshot `NAME`"},
		},
		Action: ui.export,
	}
}

// export finds out what is wrong with the options before anything else.
func (ui *ui) export(c *cli.Context) error {
	opts, err := exportOptions(c)
	if err != nil {
		return err
	}
	opts.Ready = func() {
		if !ui.quiet {
			fmt.Fprintf(ui.err, "Disk %s of snapshot %s is served at %s\n", oneLine(opts.Disk), oneLine(opts.Snapshot), oneLine(opts.Socket))
		}
	}
	return ui.storage(2, func(ctx context.Context, o *orchestrator.Orchestrator, _ *cli.Context) (answer, error) {
		e, err := o.Export(ctx, opts)
		return answer{e, func(w io.Writer) error { return printExported(w, e) }}, err
	})(c)
}

func exportOptions(c *cli.Context) (orchestrator.ExportOptions, error) {
	opts := orchestrator.ExportOptions{
		Domain: c.Args().Get(0), Snapshot: c.Args().Get(1), Disk: c.String("disk"), Since: c.String("since"), Format: c.String("format"),
	}
	socket, isUnix := strings.CutPrefix(c.String("nbd"), "unix:")
	switch {
	case opts.Disk == "":
		return opts, usage("--disk is missing: which disk is to be exported?")
	case c.IsSet("nbd") == c.IsSet("file"):
		return opts, usage("choose one of --nbd and --file")
	case c.IsSet("nbd") && (!isUnix || socket == ""):
		return opts, usage("--nbd wants unix:PATH, and not %q", c.String("nbd"))
	case c.IsSet("nbd") && c.IsSet("format"):
		return opts, usage("--format is for --file: what is served is raw")
	case c.IsSet("file") && c.String("file") == "":
		return opts, usage("--file wants a path")
	case opts.Format != export.Raw && opts.Format != export.Qcow2:
		return opts, usage("--format is raw or qcow2, and not %q", opts.Format)
	}
	var err error
	if isUnix {
		opts.Socket, err = filepath.Abs(socket)
	} else {
		opts.File, err = filepath.Abs(c.String("file"))
	}
	return opts, err
}

func printExported(w io.Writer, e *orchestrator.Exported) error {
	what := fmt.Sprintf("Disk %s of snapshot %s", e.Disk, e.Name)
	if e.Since != nil {
		what += fmt.Sprintf(", %d extents changed since %s,", e.Extents, *e.Since)
	}
	if e.NBD != "" {
		fmt.Fprintf(w, "%s served, until the reader was gone\n", oneLine(what))
	} else {
		fmt.Fprintf(w, "%s exported to %s (%s): %d bytes written\n", oneLine(what), oneLine(e.File), e.Format, e.BytesWritten)
	}
	return printDeleted(w, orchestrator.DeleteResult{Deleted: e.Deleted})
}
