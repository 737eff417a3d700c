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

const (
	// smallObject makes the objects of a full image many, as a large image has.
	smallObject  = 64 << 10
	manyObjects  = 4096
	fewOfObjects = manyObjects / 100
)

// rbdRollback compares the revert of a full image of which 1 % has changed with Ceph's own rollback, whole processes.
func rbdRollback(ctx context.Context, p cli.Program) (err error) {
	d, err := lab.NewDomain(lab.Options{Name: "benchroll", Disks: []lab.Disk{{Kind: lab.RBD, Size: manyObjects * smallObject, FS: lab.NoFS}}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	image := d.Source("vda")
	if err := withSmallObjects(ctx, image); err != nil {
		return err
	}
	var s orchestrator.Snapshot
	if _, err := p.Do(ctx, &s, "snapshot-create-as", d.Name(), "base"); err != nil {
		return err
	}
	var ours, theirs series
	for round := range rounds {
		if err := touch(ctx, image, 2*round); err != nil {
			return err
		}
		start := time.Now()
		if _, err := lab.Command(ctx, "rbd", "snap", "rollback", "--no-progress", s.Disks[0].Ref); err != nil {
			return err
		}
		theirs = append(theirs, time.Since(start))
		if err := touch(ctx, image, 2*round+1); err != nil {
			return err
		}
		var r orchestrator.RevertResult
		ran, err := p.Do(ctx, &r, "snapshot-revert", d.Name(), "base", "--no-safety")
		if err != nil {
			return err
		}
		ours = append(ours, ran.Took)
	}
	compare("revert of a full rbd image of 4096 objects, 1 % of them changed, whole process", ours, theirs, "rollback")
	var deleted orchestrator.DeleteResult
	_, err = p.Do(ctx, &deleted, "snapshot-delete", d.Name(), "base")
	return err
}

// withSmallObjects makes the image anew, and full.
func withSmallObjects(ctx context.Context, image string) error {
	size := fmt.Sprintf("%dB", manyObjects*smallObject)
	for _, args := range [][]string{
		{"rm", "--no-progress", image},
		{"create", "--size", size, "--object-size", fmt.Sprintf("%dB", smallObject), image},
		{"bench", "--io-type", "write", "--io-size", "64K", "--io-total", size, "--io-pattern", "seq", "--io-threads", "8", image},
	} {
		if _, err := lab.Command(ctx, "rbd", args...); err != nil {
			return err
		}
	}
	return nil
}

// touch writes 4 KiB into one object of every hundred.
func touch(ctx context.Context, image string, round int) error {
	args := []string{"-f", "raw"}
	for i := range fewOfObjects {
		at := (i*100 + round*7) * smallObject
		args = append(args, "-c", fmt.Sprintf("write -q -P %d %d 4k", 1+(i+round)%200, at))
	}
	_, err := lab.Command(ctx, "qemu-io", append(args, "rbd:"+image)...)
	return err
}
