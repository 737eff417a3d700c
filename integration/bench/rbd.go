package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// rbdRevert compares the revert in place of a large image with the way of those who cannot: clone and flatten.
func rbdRevert(ctx context.Context, p cli.Program) (err error) {
	d, err := lab.NewDomain(lab.Options{Name: "benchrbd", Disks: []lab.Disk{{Kind: lab.RBD, Size: 4 << 30, FS: lab.NoFS}}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	image := d.Source("vda")
	if err := fill(ctx, image); err != nil {
		return err
	}
	var revert, process, theirs series
	for round := range rounds {
		r, err := wayBack(ctx, p, d, round)
		if err != nil {
			return err
		}
		revert, process, theirs = append(revert, r.revert), append(process, r.process), append(theirs, r.theirs)
	}
	const title = "revert of a 4 GiB rbd image, 1 GiB written, 2 % of it changed"
	compare(title, revert, theirs, "clone+flatten")
	compare(title+", whole process", process, theirs, "clone+flatten")
	return nil
}

// wayBackTook is how long it took back to one snapshot: the disk's revert, the program around it, and the other way.
type wayBackTook struct{ revert, process, theirs time.Duration }

// wayBack goes both ways. It has a snapshot of its own: to the storage, what was written back is changed too.
func wayBack(ctx context.Context, p cli.Program, d *lab.Domain, round int) (took wayBackTook, err error) {
	var s orchestrator.Snapshot
	name := fmt.Sprintf("base%d", round)
	if _, err := p.Do(ctx, &s, "snapshot-create-as", d.Name(), name); err != nil {
		return took, err
	}
	if err := scatter(ctx, d.Source("vda"), round); err != nil {
		return took, err
	}
	time.Sleep(settle)
	if took.theirs, err = cloneAndFlatten(ctx, s.Disks[0].Ref); err != nil {
		return took, err
	}
	time.Sleep(settle)
	var r orchestrator.RevertResult
	ran, err := p.Do(ctx, &r, "snapshot-revert", d.Name(), name, "--no-safety")
	if err != nil {
		return took, err
	}
	took.revert, took.process = time.Duration(r.Disks[0].TookMS)*time.Millisecond, ran.Took
	return took, nil
}

// fill has rbd write the first GiB of an image, its threads side by side: "seq" would give each a region of its own.
func fill(ctx context.Context, image string) error {
	_, err := lab.Command(ctx, "rbd", "bench", "--io-type", "write", "--io-size", "64K", "--io-total", "1G",
		"--io-pattern", "full-seq", "--io-threads", "4", image)
	return err
}

// scatter changes 2 % of that: 20 runs of 1 MiB, one at a place of its own in each twentieth, another every round.
func scatter(ctx context.Context, image string, round int) error {
	const runs, stride = 20, 1024 / 20
	args := []string{"-f", "raw"}
	for run := range runs {
		place := run*stride + (run*7+round*11)%stride
		args = append(args, "-c", fmt.Sprintf("write -q -P %d %dM 1M", 1+round*runs+run, place))
	}
	_, err := lab.Command(ctx, "qemu-io", append(args, "rbd:"+image)...)
	return err
}

// cloneAndFlatten makes an image of its own out of a snapshot, and takes it away again, which is not measured.
func cloneAndFlatten(ctx context.Context, snapshot string) (time.Duration, error) {
	const clone = "rbd/bench-clone"
	start := time.Now()
	for _, args := range [][]string{
		{"clone", "--rbd-default-clone-format", "2", snapshot, clone}, {"flatten", "--no-progress", clone},
	} {
		if _, err := lab.Command(ctx, "rbd", args...); err != nil {
			return 0, fmt.Errorf("clone %s: %w", snapshot, err)
		}
	}
	took := time.Since(start)
	_, err := lab.Command(ctx, "rbd", "rm", "--no-progress", clone)
	return took, err
}
