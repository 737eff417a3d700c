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
	b := &rollback{program: p, domain: d}
	var revert, process, theirs series
	for range rounds {
		took, err := b.theirs(ctx)
		if err != nil {
			return err
		}
		theirs = append(theirs, took)
		disk, whole, err := b.ours(ctx)
		if err != nil {
			return err
		}
		revert, process = append(revert, disk), append(process, whole)
	}
	title := fmt.Sprintf("revert of a full rbd image of %d objects, 1 %% of them changed", manyObjects)
	compare(title, revert, theirs, "rbd snap rollback")
	compare(title+", whole process", process, theirs, "rbd snap rollback")
	return nil
}

// rollback goes back to a snapshot that each way back has for itself: to the object map all that a rollback gave back
// has changed.
type rollback struct {
	program cli.Program
	domain  *lab.Domain
	rounds  int
}

func (b *rollback) theirs(ctx context.Context) (took time.Duration, err error) {
	err = b.round(ctx, func(s orchestrator.Snapshot) error {
		start := time.Now()
		_, err := lab.Command(ctx, "rbd", "snap", "rollback", "--no-progress", s.Disks[0].Ref)
		took = time.Since(start)
		return err
	})
	return took, err
}

func (b *rollback) ours(ctx context.Context) (disk, whole time.Duration, err error) {
	err = b.round(ctx, func(s orchestrator.Snapshot) error {
		var r orchestrator.RevertResult
		ran, err := b.program.Do(ctx, &r, "snapshot-revert", b.domain.Name(), s.Name, "--no-safety")
		if err != nil {
			return err
		}
		disk, whole = time.Duration(r.Disks[0].TookMS)*time.Millisecond, ran.Took
		return nil
	})
	return disk, whole, err
}

func (b *rollback) round(ctx context.Context, back func(orchestrator.Snapshot) error) error {
	b.rounds++
	var s orchestrator.Snapshot
	if _, err := b.program.Do(ctx, &s, "snapshot-create-as", b.domain.Name(), "base"); err != nil {
		return err
	}
	if err := touch(ctx, b.domain.Source("vda"), b.rounds); err != nil {
		return err
	}
	time.Sleep(settle)
	if err := back(s); err != nil {
		return err
	}
	var deleted orchestrator.DeleteResult
	_, err := b.program.Do(ctx, &deleted, "snapshot-delete", b.domain.Name(), "base")
	return err
}

// withSmallObjects makes the image anew, and full.
func withSmallObjects(ctx context.Context, image string) error {
	size := fmt.Sprintf("%dB", manyObjects*smallObject)
	for _, args := range [][]string{
		{"rm", "--no-progress", image},
		{"create", "--size", size, "--object-size", fmt.Sprintf("%dB", smallObject), image},
		{"bench", "--io-type", "write", "--io-size", fmt.Sprintf("%dB", smallObject), "--io-total", size, "--io-pattern", "seq", "--io-threads", "8", image},
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
