package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/virt"
	"github.com/domsnap/domsnap/quiesce"
)

const (
	// guardianVerb is the hidden command that this program runs itself with.
	guardianVerb = "guardian"
	// guardianName is how it shows in ps and in the system's log.
	guardianName = "domsnap-guardian"
	// dialTimeout bounds the guardian's first look at the guest, for which its caller waits.
	dialTimeout = 10 * time.Second

	optInsist = "insist"
	optHolder = "holder"
)

// startGuardian starts this program again as the guardian of a domain, outside the systemd unit that we may run in. Where
// systemd does not let it go, it starts as any process does.
func startGuardian(c *cli.Context) orchestrator.StartGuardian {
	return func(_ context.Context, d methods.Domain, lock *os.File) (orchestrator.GuardianProcess, error) {
		// No context: the guardian lives on when we are told to stop.
		cmd, err := itself(c, guardianName, guardianVerb, "--"+optHolder, strconv.Itoa(os.Getpid()), "--", d.UUID, d.Name)
		if err != nil {
			return nil, err
		}
		cmd.Stderr = os.Stderr
		// With our process id, since the scope of one that has just ended may not have gone yet.
		if scoped, err := inScope(cmd, fmt.Sprintf("%s-%s-%d", guardianName, d.UUID, os.Getpid())); err == nil {
			if p, err := quiesce.StartGuardian(scoped, lock); err == nil {
				return p, nil
			}
		}
		return quiesce.StartGuardian(cmd, lock)
	}
}

func guardianCommand() *cli.Command {
	return &cli.Command{
		Name: guardianVerb, Hidden: true, ArgsUsage: "UUID NAME",
		Usage: "let a domain go when the process that holds it cannot",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: optInsist, Usage: "raise the alarm after `TIME`"},
			&cli.IntFlag{Name: optHolder, Usage: "end the process `PID`, which has started this one, before the domain is let go under its hands"},
		},
		Action: guard,
	}
}

func guard(c *cli.Context) error {
	ignoreSignals()
	if err := showName(); err != nil {
		return err
	}
	uri, uuid, name := c.String(optConnect), c.Args().Get(0), c.Args().Get(1)
	dial := dialer{uri: uri, uuid: uuid, stateDir: c.String(optStateDir)}.dial
	in, ready := quiesce.GuardianPipes()
	stop := stopOf(c.Int(optHolder))
	if err := lookAtGuest(c.Context, dial); err != nil {
		return err
	}
	if err := quiesce.SayReady(ready); err != nil {
		return err
	}
	// Nothing of the context that this process began with may end the watch, or listen to it.
	err := quiesce.Guard(context.Background(), quiesce.Post{
		In: in, Insist: c.Duration(optInsist), Stop: stop, Free: leaveStderr,
		Dial: func(ctx context.Context) (quiesce.Guest, error) { return dial(ctx) },
	})
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("let domain %s go: %w", name, err), alarm(name, err))
}

// ignoreSignals has the guardian stay when its session, its unit or the reader of its messages ends. It ends with its
// caller, and then not before the guest is let go.
func ignoreSignals() {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2)
}

// showName goes on under the guardian's name: systemd-run starts a program under none but the program's own.
func showName() error {
	if os.Args[0] == guardianName {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	// The lock is what is inherited.
	if err := quiesce.KeepFiles(1); err != nil {
		return err
	}
	return syscall.Exec(self, append([]string{guardianName}, os.Args[1:]...), os.Environ())
}

// stopOf ends the process that has started this one, and never another that has its number later: what is found of our
// parent while it surely is that stays of it.
func stopOf(pid int) func() error {
	p, err := os.FindProcess(pid)
	if err != nil || os.Getppid() != pid {
		return nil
	}
	return p.Kill
}

// leaveStderr lets those go on who read our caller's messages to their end, now that there will be none.
func leaveStderr() {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer null.Close()
	_ = syscall.Dup3(int(null.Fd()), int(os.Stderr.Fd()), 0)
}

// lookAtGuest: a guardian that cannot reach the guest now would be no use later.
func lookAtGuest(ctx context.Context, dial func(context.Context) (*connectedGuest, error)) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	guest, err := dial(ctx)
	if err != nil {
		return err
	}
	return guest.Close()
}

// connectedGuest is a guest on a connection of its own.
type connectedGuest struct {
	quiesce.Guest
	host  *virt.Host
	align func(context.Context) error
}

// Resume implements quiesce.Guest. A shield that was being taken away may have left the definition behind the disks.
func (g *connectedGuest) Resume(ctx context.Context) error {
	if err := g.align(ctx); err != nil {
		return err
	}
	return g.Guest.Resume(ctx)
}

// Close ends the connection.
func (g *connectedGuest) Close() error { return g.host.Close() }

// dialer is what a guardian finds its guest by.
type dialer struct{ uri, uuid, stateDir string }

func (d dialer) dial(ctx context.Context) (*connectedGuest, error) {
	host, err := virt.Connect(ctx, d.uri)
	if err != nil {
		return nil, err
	}
	domain, err := host.Domain(ctx, d.uuid)
	if errors.Is(err, orchestrator.ErrNotFound) {
		err = errors.Join(quiesce.ErrGone, err)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("find domain %s: %w", d.uuid, err), host.Close())
	}
	o := orchestrator.New(orchestrator.Config{Hypervisor: host, StateDir: d.stateDir})
	return &connectedGuest{Guest: domain, host: host, align: func(ctx context.Context) error { return o.AlignShield(ctx, d.uuid) }}, nil
}
