// Command bench measures domsnap against what a person would run instead, both in the same run, and prints medians and
// ratios. It runs inside the lab. Its arguments choose figures by their names; without any it measures all.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
)

// rounds is how often everything is measured.
const rounds = 5

// settle is how long the storages get to finish with what came before, ahead of either way.
const settle = 2 * time.Second

func main() {
	os.Exit(status())
}

func status() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

func run(ctx context.Context) error {
	if !lab.Running() {
		return fmt.Errorf("this runs inside the lab: make bench")
	}
	state, err := os.MkdirTemp("", "domsnap-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	p, err := cli.FromEnvironment(state)
	if err != nil {
		return err
	}
	for _, f := range figures() {
		if wanted := os.Args[1:]; !slices.Contains(wanted, f.name) && (len(wanted) > 0 || f.name == againstOther) {
			continue
		}
		if err := f.measure(ctx, p); err != nil {
			return fmt.Errorf("measure %s: %w", f.name, err)
		}
	}
	return nil
}

// figures are all that there are. A figure that is named on the command line is measured, or all are that need no other program.
func figures() []figure {
	all := []figure{
		{"held", heldGuest}, {"held-busy", heldBusy}, {"shield-disks", shieldDisks}, {"shield-slow", shieldSlow}, {"rbd", rbdRevert}, {"rollback", rbdRollback}, {"records", records},
		{"replicate-rbd", rbdReplicate}, {"replicate-btrfs", btrfsReplicate}, {"replicate-kinds", replicateKinds},
	}
	all = append(all, figure{againstOther, against})
	for _, w := range ways {
		all = append(all, figure{"revert-" + w.name, w.inPlace})
	}
	return all
}

// againstOther compares with another build of the program.
const againstOther = "against"

// figure is something that is measured.
type figure struct {
	name    string
	measure func(context.Context, cli.Program) error
}
