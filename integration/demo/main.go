// Command demo does the main job on a running guest and says what it does. It runs inside the lab.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/domsnap/domsnap/integration/lab"
)

func main() {
	os.Exit(status())
}

func status() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}

func run(ctx context.Context) error {
	if !lab.Running() {
		return fmt.Errorf("this runs inside the lab: make demo")
	}
	say("This is a hypervisor with LVM, btrfs and Ceph, all in user space. A guest with five disks boots in it.")
	guest, err := lab.NewDomain(lab.Options{Name: "web1", Disks: []lab.Disk{
		{Kind: lab.QcowFile}, {Kind: lab.ThickLV}, {Kind: lab.ThinLV}, {Kind: lab.BtrfsSubvol}, {Kind: lab.RBD},
	}})
	if err != nil {
		return err
	}
	defer guest.Close()
	if err := guest.Start(); err != nil {
		return err
	}
	if err := guest.WaitAgent(lab.BootTimeout); err != nil {
		return err
	}
	say(fmt.Sprintf("The guest is up and its agent answers, %v after the start of the lab.", lab.SinceStart()))
	return (&demo{guest: guest, program: os.Getenv("DOMSNAP")}).play(ctx)
}

// demo is the guest and the program that the audience looks at.
type demo struct {
	guest   *lab.Domain
	program string
}

// play is the story.
func (d *demo) play(ctx context.Context) error {
	acts := []func(context.Context) error{d.look, d.takeSnapshot, d.scribble, d.goBack, d.cleanUp}
	for _, act := range acts {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) look(ctx context.Context) error {
	say("Which method would take which disk?")
	return d.domsnap(ctx, "disks", "web1")
}

func (d *demo) takeSnapshot(ctx context.Context) error {
	say("The guest writes a file to every disk.")
	if err := d.fill(ctx, 1); err != nil {
		return err
	}
	say("One snapshot of all five: the guest is frozen once, each storage takes its own.")
	return d.domsnap(ctx, "snapshot-create-as", "web1", "before-upgrade", "--description", "all is well", "--quiesce", "require")
}

func (d *demo) scribble(ctx context.Context) error {
	say("Now something goes wrong: the guest scribbles over its files on all five disks.")
	return d.fill(ctx, 2)
}

func (d *demo) goBack(ctx context.Context) error {
	say("Back. The domain is powered off for it, and started again on the same disks.")
	if err := d.show(ctx, "virsh", "domblklist", "web1"); err != nil {
		return err
	}
	if err := d.domsnap(ctx, "snapshot-revert", "web1", "before-upgrade", "--force"); err != nil {
		return err
	}
	if err := d.show(ctx, "virsh", "domblklist", "web1"); err != nil {
		return err
	}
	if err := d.guest.WaitAgent(lab.BootTimeout); err != nil {
		return err
	}
	say("What does the guest have on its disks now?")
	return d.sums(ctx)
}

func (d *demo) cleanUp(ctx context.Context) error {
	say("The scribbles are not lost either: the revert kept them as a snapshot.")
	if err := d.domsnap(ctx, "snapshot-list", "web1", "--tree"); err != nil {
		return err
	}
	say("Deleting, while the guest runs.")
	if err := d.domsnap(ctx, "snapshot-delete", "web1", "before-upgrade", "--children"); err != nil {
		return err
	}
	return d.domsnap(ctx, "snapshot-list", "web1")
}

var targets = []string{"vda", "vdb", "vdc", "vdd", "vde"}

func (d *demo) fill(ctx context.Context, seed uint64) error {
	for _, target := range targets {
		if err := d.guest.Fill(ctx, "/mnt/"+target+"/file", seed, 4<<20); err != nil {
			return err
		}
	}
	return d.sums(ctx)
}

func (d *demo) sums(ctx context.Context) error {
	for _, target := range targets {
		sum, err := d.guest.Sum(ctx, "/mnt/"+target+"/file")
		if err != nil {
			return err
		}
		fmt.Printf("  %s  %.16s...\n", target, sum)
	}
	return nil
}

func (d *demo) domsnap(ctx context.Context, args ...string) error {
	return d.run(ctx, "domsnap", d.program, args)
}

func (d *demo) show(ctx context.Context, name string, args ...string) error {
	return d.run(ctx, name, name, args)
}

// run shows a command as one would type it, and what it says.
func (d *demo) run(ctx context.Context, shown, path string, args []string) error {
	fmt.Printf("$ %s\n", strings.Join(append([]string{shown}, quoted(args)...), " "))
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w", shown, err)
	}
	return nil
}

func quoted(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if out[i] = a; strings.Contains(a, " ") {
			out[i] = "'" + a + "'"
		}
	}
	return out
}

func say(text string) { fmt.Printf("\n# %s\n", text) }
