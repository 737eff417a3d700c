package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/lease"
)

const (
	// leaseVerb is the hidden command that this program runs itself with.
	leaseVerb = "lease"
	// leaseName is how it shows in ps.
	leaseName = "domsnap-lease"
	// leasePoll is how often the end of a lease is looked for, leaseRetry how often a delete is tried that does not work.
	leasePoll  = time.Second
	leaseRetry = 10 * time.Second
	// leaseInsist is how long it is tried. After that check says so, and recover and snapshot-prune do it.
	leaseInsist = 24 * time.Hour
)

// readLease is the lease of a snapshot to be created: with a time until then, else as long as our caller lives.
func readLease(c *cli.Context) (l lease.Lease, err error) {
	switch lasting := c.Duration("lease"); {
	case c.IsSet("lease") && !c.Bool("temporary"):
		return l, usage("--lease goes with --temporary")
	case c.IsSet("lease") && lasting < time.Second:
		return l, usage("--lease is at least 1s, not %s", lasting)
	case c.IsSet("lease"):
		l.Until = time.Now().Add(lasting)
	case c.Bool("temporary"):
		l.Holder, err = callersLease()
	}
	return l, err
}

func callersLease() (lease.Holder, error) {
	caller, err := lease.Caller()
	if err != nil {
		return "", fmt.Errorf("find who has called: %w", err)
	}
	if caller == 1 {
		return "", usage("the process that has called does not end: give a --lease")
	}
	return lease.HolderOf(caller)
}

// keepLease starts this program again to delete the snapshot when its lease is over.
func keepLease(c *cli.Context, s *orchestrator.Snapshot, l lease.Lease) error {
	until := ""
	if !l.Until.IsZero() {
		until = l.Until.Format(time.RFC3339)
	}
	cmd, err := itself(c, leaseName, leaseVerb, "--", s.DomainUUID, until, string(l.Holder))
	if err != nil {
		return err
	}
	if err := startAside(cmd, fmt.Sprintf("%s-%s", leaseName, s.ID)); err != nil {
		return fmt.Errorf("start what deletes snapshot %s when its lease is over: %w", s.Name, err)
	}
	return nil
}

func (ui *ui) leaseCommand() *cli.Command {
	return &cli.Command{
		Name: leaseVerb, Hidden: true, ArgsUsage: "UUID UNTIL HOLDER",
		Usage: "delete the temporary snapshots of a domain when a lease is over",
		Action: func(c *cli.Context) error {
			if c.NArg() != 3 {
				return usage("%s takes UUID, UNTIL and HOLDER", c.Command.Name)
			}
			l := lease.Lease{Holder: lease.Holder(c.Args().Get(2))}
			if until := c.Args().Get(1); until != "" {
				var err error
				if l.Until, err = time.Parse(time.RFC3339, until); err != nil {
					return usage("read the end of the lease: %w", err)
				}
			}
			for !l.Over(time.Now()) {
				time.Sleep(leasePoll)
			}
			return ui.endLease(c)
		},
	}
}

// endLease tries until it has worked, or there is no such domain any more.
func (ui *ui) endLease(c *cli.Context) error {
	ignoreSignals()
	recovers := false
	expire := ui.storage(3, func(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
		var err error
		if recovers {
			_, err = o.Recover(ctx, c.Args().First())
		} else {
			_, err = o.Expire(ctx, c.Args().First())
		}
		return answer{table: func(io.Writer) error { return nil }}, err
	})
	for end := time.Now().Add(leaseInsist); ; time.Sleep(leaseRetry) {
		err := expire(c)
		switch {
		case err == nil, errors.Is(err, orchestrator.ErrNotFound):
			return nil
		case time.Now().After(end):
			return err
		}
		// A delete that was begun is finished by recover alone.
		recovers = errors.Is(err, orchestrator.ErrUnfinished)
	}
}
