package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/virt"
	"github.com/domsnap/domsnap/quiesce"
)

// guardianVerb is the hidden command that this program runs itself with.
const guardianVerb = "guardian"

// startGuardian starts this program again as the guardian of a domain. It shows in ps as domsnap-guardian with the
// domain's name.
func startGuardian(uri string) func(context.Context, methods.Domain, *os.File) (orchestrator.GuardianProcess, error) {
	return func(_ context.Context, d methods.Domain, lock *os.File) (orchestrator.GuardianProcess, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		// No context: the guardian lives on when we are told to stop.
		cmd := exec.Command(self, guardianVerb, "--connect", uri, "--", d.UUID, d.Name)
		cmd.Args[0] = "domsnap-guardian"
		return quiesce.StartGuardian(cmd, lock)
	}
}

func guardianCommand() *cli.Command {
	return &cli.Command{
		Name: guardianVerb, Hidden: true, ArgsUsage: "UUID NAME",
		Usage:  "let a domain go when the process that holds it cannot",
		Action: guard,
	}
}

func guard(c *cli.Context) error {
	uri, uuid := c.String(optConnect), c.Args().First()
	dial := func(ctx context.Context) (quiesce.Guest, error) { return dialGuest(ctx, uri, uuid) }
	in, ready := quiesce.GuardianPipes()
	// A guardian that could not reach the guest now would be no use later.
	guest, err := dialGuest(c.Context, uri, uuid)
	if err != nil {
		return err
	}
	if err := guest.Close(); err != nil {
		return err
	}
	if err := quiesce.SayReady(ready); err != nil {
		return err
	}
	// The signals that end us must not end it.
	return quiesce.Guard(context.WithoutCancel(c.Context), in, dial)
}

// connectedGuest is a guest on a connection of its own.
type connectedGuest struct {
	quiesce.Guest
	host *virt.Host
}

// Close ends the connection.
func (g *connectedGuest) Close() error { return g.host.Close() }

func dialGuest(ctx context.Context, uri, uuid string) (*connectedGuest, error) {
	host, err := virt.Connect(ctx, uri)
	if err != nil {
		return nil, err
	}
	domain, err := host.Domain(ctx, uuid)
	if err != nil {
		return nil, fmt.Errorf("find domain %s: %w", uuid, err)
	}
	return &connectedGuest{Guest: domain, host: host}, nil
}
