package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
)

func (ui *ui) listCommand() *cli.Command {
	return &cli.Command{
		Name: "snapshot-list", ArgsUsage: "DOMAIN", Usage: "list the snapshots of a domain",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "tree", Usage: "draw them as a tree"},
			&cli.BoolFlag{Name: "name", Usage: "print names only"},
			&cli.BoolFlag{Name: "parent", Usage: "add a column with each one's parent"},
			&cli.BoolFlag{Name: "leaves", Usage: "only those without children"},
			&cli.BoolFlag{Name: "roots", Usage: "only those without a parent"},
			&cli.StringFlag{Name: "state", Usage: "only those in `STATE`"},
		},
		Action: ui.action(1, listSnapshots),
	}
}

func listSnapshots(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	if state := c.String("state"); state != "" {
		if err := orchestrator.CheckState(state); err != nil {
			return answer{}, err
		}
	}
	list, err := o.List(ctx, c.Args().First())
	if err != nil {
		return answer{}, err
	}
	list = slices.DeleteFunc(list, func(s *orchestrator.Snapshot) bool {
		return c.Bool("leaves") && s.Children() > 0 || c.Bool("roots") && s.Parent != nil ||
			c.IsSet("state") && s.State != c.String("state")
	})
	return answer{list, func(w io.Writer) error {
		switch {
		case c.Bool("tree"):
			return drawTree(w, list)
		case c.Bool("name"):
			return printNames(w, list)
		default:
			return printList(w, list, c.Bool("parent"))
		}
	}}, nil
}

func printNames(w io.Writer, list []*orchestrator.Snapshot) error {
	for _, s := range list {
		if _, err := fmt.Fprintln(w, oneLine(s.Name)); err != nil {
			return err
		}
	}
	return nil
}

func printList(w io.Writer, list []*orchestrator.Snapshot, withParent bool) error {
	columns := []string{"Name", "Creation Time", "State", "Level"}
	if withParent {
		columns = append(columns, "Parent")
	}
	t := newTable(w, columns...)
	for _, s := range list {
		cells := []string{s.Name, s.Created.Format("2006-01-02 15:04:05 -0700"), s.State, s.Consistency.Level}
		if withParent {
			cells = append(cells, deref(s.Parent))
		}
		t.row(cells...)
		if s.RevertAtShutdown {
			t.note("reverted to at the next shutdown")
		}
	}
	return t.flush()
}

// drawTree prints each root with what derives from it, as virsh snapshot-list --tree does, and marks the present.
func drawTree(w io.Writer, list []*orchestrator.Snapshot) error {
	shown := map[string]bool{}
	for _, s := range list {
		shown[s.Name] = true
	}
	var roots []*orchestrator.Snapshot
	children := map[string][]*orchestrator.Snapshot{}
	for _, s := range list {
		if s.Parent == nil || !shown[*s.Parent] {
			roots = append(roots, s)
			continue
		}
		children[*s.Parent] = append(children[*s.Parent], s)
	}
	for _, s := range roots {
		if err := drawBranch(w, branch{s, children, "", ""}); err != nil {
			return err
		}
	}
	return nil
}

// branch is a snapshot on its place in the tree: the text before its own line and before those below it.
type branch struct {
	root          *orchestrator.Snapshot
	children      map[string][]*orchestrator.Snapshot
	before, below string
}

func drawBranch(w io.Writer, b branch) error {
	if _, err := fmt.Fprintln(w, b.before+oneLine(b.root.Name)); err != nil {
		return err
	}
	below := b.children[b.root.Name]
	if b.root.Current {
		mark := "└─ "
		if len(below) > 0 {
			mark = "├─ "
		}
		if _, err := fmt.Fprintln(w, b.below+mark+"(you are here)"); err != nil {
			return err
		}
	}
	for i, s := range below {
		next := branch{s, b.children, b.below + "├─ ", b.below + "│  "}
		if i == len(below)-1 {
			next.before, next.below = b.below+"└─ ", b.below+"   "
		}
		if err := drawBranch(w, next); err != nil {
			return err
		}
	}
	return nil
}
