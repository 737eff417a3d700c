// Command bench measures domsnap against what a person would run instead, both in the same run, and prints medians and
// ratios. It runs inside the lab.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
)

// rounds is how often everything is measured.
const rounds = 5

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
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
	for _, measure := range []func(context.Context, cli.Program) error{heldGuest, rbdRevert} {
		if err := measure(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
