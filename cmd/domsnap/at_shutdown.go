package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
)

const (
	// dueVerb is the hidden command that this program runs itself with when a domain has ended.
	dueVerb = "revert-due"
	// dueName is how it shows in ps and in the system's log.
	dueName = "domsnap-at-shutdown"
	// dueSettle is how long a domain may take to be off once libvirt has told its hooks. One that is on after that was
	// started again.
	dueSettle = 30 * time.Second
	// duePoll is how often it is looked at, and how often another operation is waited for.
	duePoll = time.Second
)

// askRevert asks for the revert at the domain's next shutdown.
func askRevert(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context, opts orchestrator.RevertOptions) (answer, error) {
	a, err := o.RevertAtShutdown(ctx, opts)
	if err == nil && a.Due {
		// It has just gone off, and the hook may have found nothing. What does not start now is found by check.
		_ = startDue(c, a.DomainUUID)
	}
	return answer{a, func(w io.Writer) error {
		if a.Instead != nil {
			fmt.Fprintf(w, "The revert of domain %s to %s that was asked for before is taken back\n", oneLine(a.Domain), oneLine(*a.Instead))
		}
		_, err := fmt.Fprintf(w, "Domain %s reverts to %s when it is off next\n", oneLine(a.Domain), oneLine(a.Snapshot))
		return err
	}}, err
}

// cancelRevert takes that back.
func cancelRevert(ctx context.Context, o *orchestrator.Orchestrator, opts orchestrator.RevertOptions) (answer, error) {
	a, err := o.CancelRevert(ctx, opts.Domain, opts.Snapshot)
	return answer{a, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Domain %s does not revert to %s any more when it is off next\n", oneLine(a.Domain), oneLine(a.Snapshot))
		return err
	}}, err
}

// startDue starts what does what is asked for at the shutdown, and does not wait for it.
func startDue(c *cli.Context, uuid string) error {
	cmd, err := itself(c, dueName, dueVerb, "--", uuid)
	if err != nil {
		return err
	}
	// With our process id, since the unit of the last time may not have gone yet.
	if err := startAside(cmd, fmt.Sprintf("%s-%s-%d", dueName, uuid, os.Getpid())); err != nil {
		return fmt.Errorf("start what reverts the domain: %w", err)
	}
	return nil
}

func (ui *ui) dueCommand() *cli.Command {
	return &cli.Command{
		Name: dueVerb, Hidden: true, ArgsUsage: "UUID", Usage: "do what is asked for at a domain's shutdown, once it is off",
		Action: func(c *cli.Context) error {
			d := due{settled: time.Now().Add(dueSettle)}
			look := ui.storage(1, d.look)
			for !d.over && c.Context.Err() == nil {
				if err := look(c); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// due waits for a domain to be off, and for who works on it.
type due struct {
	settled time.Time
	over    bool
}

// look does what is asked for, if that can be done now, and says so in the system's log.
func (d *due) look(ctx context.Context, o *orchestrator.Orchestrator, c *cli.Context) (answer, error) {
	nothing := answer{table: func(io.Writer) error { return nil }}
	asked, err := o.NoticeEnd(ctx, c.Args().First())
	switch {
	case errors.Is(err, orchestrator.ErrBusy):
		pause(ctx, duePoll)
		return nothing, nil
	case errors.Is(err, orchestrator.ErrNotFound):
		d.over = true
		return nothing, nil
	case err != nil:
		return nothing, errors.Join(err, tellDue(c.Args().First(), nil, err))
	case asked == nil:
		d.over = true
		return nothing, nil
	case !asked.Due:
		d.over = time.Now().After(d.settled)
		pause(ctx, duePoll)
		return nothing, nil
	}
	did, err := o.Recover(ctx, asked.DomainUUID)
	if errors.Is(err, orchestrator.ErrBusy) {
		err = nil
	}
	if err == nil {
		pause(ctx, duePoll)
	}
	return nothing, errors.Join(err, tellDue(asked.Domain, did, err))
}

// tellDue says how it ended. A log that cannot be reached is no reason for another end.
func tellDue(domain string, did []orchestrator.Recovered, cause error) error {
	if cause != nil {
		return tellLog(syslog.LOG_ERR, dueName, fmt.Sprintf("domain %s: %v; see: domsnap check %s", domain, cause, domain))
	}
	for _, one := range did {
		_ = tellLog(syslog.LOG_NOTICE, dueName, fmt.Sprintf("domain %s: %s", one.Domain, strings.Join(one.Did, "; ")))
	}
	return nil
}
