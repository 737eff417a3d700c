package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// script is the job as one would write it down. It prints how long the guest was frozen, in nanoseconds.
const script = `set -e
start=$(date +%s%N)
virsh -q domfsfreeze "$DOMAIN" >/dev/null
virsh -q snapshot-create-as "$DOMAIN" plain --disk-only --no-metadata --diskspec vda,file="$OVERLAY" \
  --diskspec vdb,snapshot=no --diskspec vdc,snapshot=no --diskspec vdd,snapshot=no --diskspec vde,snapshot=no >/dev/null
lvcreate -q -s -L 32M -n plain-thick "$THICK" >/dev/null
lvcreate -q -s -n plain-thin "$THIN" >/dev/null
btrfs subvolume snapshot -r "$SUBVOLUME" "$SUBVOLUME-plain" >/dev/null
rbd snap create --no-progress "$IMAGE@plain"
virsh -q domfsthaw "$DOMAIN" >/dev/null
echo $(($(date +%s%N) - start))`

// unscript undoes it.
const unscript = `set -e
virsh -q blockcommit "$DOMAIN" vda --active --pivot >/dev/null
rm "$OVERLAY"
lvremove -q -f "${THICK%/*}/plain-thick" "${THIN%/*}/plain-thin" >/dev/null
btrfs subvolume delete "$SUBVOLUME-plain" >/dev/null
rbd snap rm --no-progress "$IMAGE@plain"`

// heldGuest compares how long the guest is frozen for one snapshot of five disks, and lists snapshots side by side.
func heldGuest(ctx context.Context, p cli.Program) error {
	return withGuest(fiveDisks(), func(d *lab.Domain) error {
		ours, theirs, err := sideBySide(ctx, p, d)
		if err != nil {
			return err
		}
		compare("guest frozen for a snapshot of five disks on four storages", ours, theirs, "script")
		if ours, theirs, err = sideBySide(ctx, p, d, "--hold"); err != nil {
			return err
		}
		compare("the same without a shield", ours, theirs, "script")
		return listing(ctx, p, d)
	})
}

// byProgram is how long the guest is frozen. What it is paused for afterwards, behind a shield, is printed.
func byProgram(ctx context.Context, p cli.Program, d *lab.Domain, options ...string) (time.Duration, error) {
	var s orchestrator.Snapshot
	args := append([]string{"snapshot-create-as", d.Name(), "bench", "--quiesce", "require"}, options...)
	if _, err := p.Do(ctx, &s, args...); err != nil {
		return 0, err
	}
	if c := s.Consistency; c.ShieldedMS > 0 {
		fmt.Printf("  (frozen %d ms, shielded %d ms, paused %d ms for the end of that)\n", c.FrozenMS, c.ShieldedMS, c.PausedMS)
	}
	var deleted orchestrator.DeleteResult
	_, err := p.Do(ctx, &deleted, "snapshot-delete", d.Name(), "bench")
	return time.Duration(s.Consistency.FrozenMS) * time.Millisecond, err
}

func byScript(ctx context.Context, d *lab.Domain) (time.Duration, error) {
	text, err := shell(ctx, d, script)
	if err != nil {
		return 0, err
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the script's time: %w", err)
	}
	_, err = shell(ctx, d, unscript)
	return time.Duration(ns), err
}

// shell runs a script that finds the domain's disks in its environment.
func shell(ctx context.Context, d *lab.Domain, text string) (string, error) {
	subvolume := d.Source("vdd")
	return lab.Command(ctx, "env", "DOMAIN="+d.Name(),
		"OVERLAY="+d.Source("vda")+".plain",
		"THICK="+strings.TrimPrefix(d.Source("vdb"), "/dev/"), "THIN="+strings.TrimPrefix(d.Source("vdc"), "/dev/"),
		"SUBVOLUME="+subvolume[:strings.LastIndex(subvolume, "/")], "IMAGE="+d.Source("vde"),
		"bash", "-c", text)
}

// listing compares whole processes that list a domain's snapshots, and prints the memory of ours.
func listing(ctx context.Context, p cli.Program, d *lab.Domain) error {
	var ours, theirs series
	var rss int64
	for range 4 * rounds {
		var list []orchestrator.Snapshot
		r, err := p.Do(ctx, &list, "snapshot-list", d.Name())
		if err != nil {
			return err
		}
		ours, rss = append(ours, r.Took), max(rss, r.MaxRSS)
		start := time.Now()
		if _, err := lab.Command(ctx, "virsh", "snapshot-list", d.Name()); err != nil {
			return err
		}
		theirs = append(theirs, time.Since(start))
	}
	compare("snapshot-list, whole process", ours, theirs, "virsh")
	return memory(ctx, p, d, rss)
}

// memory prints the most that any verb had.
func memory(ctx context.Context, p cli.Program, d *lab.Domain, most int64) error {
	name := d.Name()
	for _, args := range [][]string{
		{"disks", name}, {"methods"}, {"snapshot-create-as", name, "m"}, {"snapshot-info", name, "m"}, {"snapshot-source", name, "m"},
		{"snapshot-revert", name, "m", "--force", "--no-safety"}, {"snapshot-delete", name, "m"},
	} {
		var any any
		r, err := p.Do(ctx, &any, args...)
		if err != nil {
			return err
		}
		most = max(most, r.MaxRSS)
	}
	fmt.Fprintf(os.Stdout, "resident memory of any verb\n  domsnap    at most %d MiB\n\n", most/1024)
	return nil
}
