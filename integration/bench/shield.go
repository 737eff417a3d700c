package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// busyGuest writes to all disks as quickly as they take it.
const busyGuest = `while :; do for d in vda vdb vdc vdd vde; do dd if=/dev/urandom of=/mnt/$d/busy bs=64k count=16 conv=notrunc,fsync 2>/dev/null; done; done >/dev/null 2>&1 & echo $! >/run/busy.pid`

// heldBusy compares how long a guest is frozen that writes all the time.
func heldBusy(ctx context.Context, p cli.Program) error {
	return withGuest(fiveDisks(), func(d *lab.Domain) error {
		if _, err := d.Control(ctx, busyGuest); err != nil {
			return err
		}
		ours, theirs, err := sideBySide(ctx, p, d)
		if err != nil {
			return err
		}
		compare("the same, of a guest that writes all the time", ours, theirs, "script")
		return nil
	})
}

func fiveDisks() []lab.Disk {
	return []lab.Disk{{Kind: lab.QcowFile}, {Kind: lab.ThickLV}, {Kind: lab.ThinLV}, {Kind: lab.BtrfsSubvol}, {Kind: lab.RBD}}
}

// withGuest runs a measurement on a domain of its own that is up.
func withGuest(disks []lab.Disk, measure func(*lab.Domain) error) (err error) {
	d, err := lab.NewDomain(lab.Options{Name: "bench", Disks: disks})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := errors.Join(d.Start(), d.WaitAgent(lab.BootTimeout)); err != nil {
		return err
	}
	return measure(d)
}

// sideBySide takes turns.
func sideBySide(ctx context.Context, p cli.Program, d *lab.Domain, options ...string) (ours, theirs series, err error) {
	for range rounds {
		time.Sleep(settle)
		held, err := byProgram(ctx, p, d, options...)
		if err != nil {
			return nil, nil, err
		}
		ours = append(ours, held)
		time.Sleep(settle)
		if held, err = byScript(ctx, d); err != nil {
			return nil, nil, err
		}
		theirs = append(theirs, held)
	}
	return ours, theirs, nil
}

// shieldDisks shows what more disks cost a guest behind a shield: with a file system on each, which the guest freezes one
// after the other, and with one on the first alone.
func shieldDisks(ctx context.Context, p cli.Program) error {
	for _, others := range []string{"", lab.NoFS} {
		var one, all time.Duration
		for _, n := range []int{1, 4, 16} {
			median, err := shieldOf(ctx, p, n, others)
			if err != nil {
				return err
			}
			if n == 1 {
				one = median
			}
			all = median
		}
		fmt.Printf("  16 disks to 1: %.2f\n\n", float64(all)/float64(one))
	}
	return nil
}

// shieldOf measures so many disks; those behind the first have this file system.
func shieldOf(ctx context.Context, p cli.Program, n int, others string) (median time.Duration, err error) {
	disks := make([]lab.Disk, n)
	for i := range disks {
		disks[i] = lab.Disk{Kind: lab.BtrfsSubvol, Size: 32 * mib}
		if i > 0 {
			disks[i].FS = others
		}
	}
	title := fmt.Sprintf("guest frozen behind a shield, %d disks", n)
	if others == lab.NoFS {
		title += ", one file system"
	}
	err = withGuest(disks, func(d *lab.Domain) error {
		held, err := several(ctx, p, d)
		if err == nil {
			median = held.median()
			fmt.Printf("%s\n  domsnap    %s\n", title, held)
		}
		return err
	})
	return median, err
}

// several is how long the guest is frozen, several times, by snapshots with the options.
func several(ctx context.Context, p cli.Program, d *lab.Domain, options ...string) (series, error) {
	var all series
	for range rounds {
		time.Sleep(settle)
		held, err := byProgram(ctx, p, d, append([]string{"--shield"}, options...)...)
		if err != nil {
			return nil, err
		}
		all = append(all, held)
	}
	return all, nil
}

// shieldSlow shows that the guest does not pay for a storage that takes its time.
func shieldSlow(ctx context.Context, p cli.Program) error {
	return withGuest(fiveDisks(), func(d *lab.Domain) error {
		alone, err := several(ctx, p, d)
		if err != nil {
			return err
		}
		engine, err := bySlowEngine(ctx, p, d)
		if err != nil {
			return err
		}
		crowded, err := amongTen(ctx, p, d)
		if err != nil {
			return err
		}
		fmt.Printf("guest frozen behind a shield\n  five disks               %s\n  an engine that takes 20 s %s, %.2f times\n  ten thick snapshots there %s, %.2f times\n\n",
			alone, engine, ratio(engine, alone), crowded, ratio(crowded, alone))
		return nil
	})
}

func ratio(a, b series) float64 { return float64(a.median()) / float64(b.median()) }

// bySlowEngine has the example of an engine take its time over a disk.
func bySlowEngine(ctx context.Context, p cli.Program, d *lab.Domain) (series, error) {
	dir, err := os.MkdirTemp("/var/lib", "engines")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	example := filepath.Join(filepath.Dir(p.Path), "../../methods/engine/example/domsnap-method-chunks")
	text, err := os.ReadFile(example)
	if err != nil {
		return nil, err
	}
	slow := strings.Replace(string(text), "    def take(self, p):\n", "    def take(self, p):\n        time.sleep(20)\n", 1)
	if slow == string(text) {
		return nil, fmt.Errorf("make %s slow: it has no take", example)
	}
	store := filepath.Join(dir, "store")
	if err := errors.Join(os.Mkdir(store, 0o700), os.WriteFile(filepath.Join(dir, "domsnap-method-slow"), []byte(slow), 0o755)); err != nil {
		return nil, err
	}
	p.Env = append(p.Env, "DOMSNAP_ENGINE_DIR="+dir)
	descriptor := filepath.Join(dir, "slow.xml")
	if err := os.WriteFile(descriptor, []byte(fmt.Sprintf(
		"<domainsnapshot><disks><disk name='vdd'><diskSnapshot method='slow'><store path='%s'/></diskSnapshot></disk></disks></domainsnapshot>", store)), 0o600); err != nil {
		return nil, err
	}
	return several(ctx, p, d, "--descriptor", descriptor)
}

// amongTen takes snapshots of a thick volume that has ten already.
func amongTen(ctx context.Context, p cli.Program, d *lab.Domain) (series, error) {
	for i := range 10 {
		var s orchestrator.Snapshot
		if _, err := p.Do(ctx, &s, "snapshot-create-as", d.Name(), fmt.Sprintf("t%d", i), "--diskspec", "vda,snapshot=no",
			"--diskspec", "vdb,method=lvm,size.percent=10", "--diskspec", "vdc,snapshot=no", "--diskspec", "vdd,snapshot=no", "--diskspec", "vde,snapshot=no"); err != nil {
			return nil, err
		}
	}
	held, err := several(ctx, p, d, "--diskspec", "vdb,method=lvm,size.percent=10")
	var deleted orchestrator.DeleteResult
	_, deleteErr := p.Do(ctx, &deleted, "snapshot-delete", d.Name(), "t0", "--children")
	return held, errors.Join(err, deleteErr)
}
