package main

import (
	"context"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
)

func (ui *ui) domainsCommand() *cli.Command {
	return &cli.Command{Name: "domains", Usage: "list the domains that there are, and their disks", Action: ui.action(0, domains)}
}

func domains(ctx context.Context, o *orchestrator.Orchestrator, _ *cli.Context) (answer, error) {
	list, err := o.Domains(ctx)
	return answer{list, func(w io.Writer) error {
		t := newTable(w, "Domain", "State", "Disks")
		for _, d := range list {
			t.row(d.Domain, dash(string(d.State)), dash(strings.Join(d.Disks, " ")))
			if d.Problem != "" {
				t.note(d.Problem)
			}
		}
		return t.flush()
	}}, err
}
