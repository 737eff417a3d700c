package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

const (
	mib = 1 << 20
	// smallDisk and largeDisk have the same share of data.
	smallDisk = 400 * mib
	largeDisk = 10 * smallDisk
)

// way is a storage and the method that its disk is snapshotted by; empty for the one it gets by itself.
type way struct {
	name, title string
	kind        lab.Kind
	method      string
	// sparse: one in so many spots of the disk has data. rbd goes another way where most of a disk has changed, so its
	// disks are full; so are those on XFS, where a hole divides what would be one extent. sparseCopied is that of the disk
	// that is copied as well, for which the storage needs twice the room.
	sparse, sparseCopied int
}

var ways = []way{
	{"qcow2", "qcow2 by qemu", lab.QcowFile, "", 4, 4},
	{"internal", "qcow2 by qemu, internal", lab.QcowFile, "qemu,mode=internal", 2, 2},
	{"thick", "thick LV by lvm", lab.ThickLV, "", 4, 4},
	{"thin", "thin LV by lvm", lab.ThinLV, "", 4, 4},
	{"btrfs", "raw by btrfs, subvolume", lab.BtrfsSubvol, "", 4, 4},
	{"xfs", "raw by reflink, XFS", lab.XFSFile, "", 1, 2},
	{"rbd", "rbd", lab.RBD, "", 1, 2},
}

// inPlace shows that a revert costs what has changed and not what there is.
func (w way) inPlace(ctx context.Context, p cli.Program) error {
	small, err := w.revertOf(ctx, p, load{size: smallDisk, changed: 64, sparse: w.sparse})
	if err != nil {
		return err
	}
	large, err := w.revertOf(ctx, p, load{size: largeDisk, changed: 64, sparse: w.sparse})
	if err != nil {
		return err
	}
	fmt.Printf("revert of 64 MiB, %s\n  400 MiB    %s\n  4000 MiB   %s\n  ratio      %.2f\n\n", w.title,
		small.ours, large.ours, float64(large.ours.median())/float64(small.ours.median()))
	percent, err := w.revertOf(ctx, p, load{size: largeDisk, changed: largeDisk / mib / 100, sparse: w.sparseCopied, copied: true})
	if err != nil {
		return err
	}
	compare("revert of 1 % of 4000 MiB, "+w.title, percent.ours, percent.copies, "qemu-img")
	return nil
}

// load is a disk and how much of it changes.
type load struct {
	size   int64
	sparse int
	// changed is in MiB.
	changed int
	// copied also copies the whole disk.
	copied bool
}

// reverts are the times of one disk's reverts, and those of copying its snapshot.
type reverts struct{ ours, copies series }

// revertOf fills a quarter of a disk, and reverts it again and again after some of that has changed.
func (w way) revertOf(ctx context.Context, p cli.Program, l load) (r reverts, err error) {
	d, err := lab.NewDomain(lab.Options{Name: "benchback", Disks: []lab.Disk{{Kind: w.kind, Size: l.size, FS: lab.NoFS}}})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	disk := &onDisk{kind: w.kind, file: d.Source("vda"), written: int(l.size/mib) / l.sparse, sparse: l.sparse}
	if err := disk.fill(ctx); err != nil {
		return r, err
	}
	args := []string{"snapshot-create-as", d.Name(), "base"}
	if w.method != "" {
		args = append(args, "--diskspec", "vda,method="+w.method)
	}
	var s orchestrator.Snapshot
	if _, err := p.Do(ctx, &s, args...); err != nil {
		return r, err
	}
	disk.file = s.Disks[0].Source
	for round := range rounds {
		if err := disk.change(ctx, l.changed, round); err != nil {
			return r, err
		}
		var reverted orchestrator.RevertResult
		if _, err := p.Do(ctx, &reverted, "snapshot-revert", d.Name(), "base", "--no-safety"); err != nil {
			return r, err
		}
		r.ours = append(r.ours, time.Duration(reverted.Disks[0].TookMS)*time.Millisecond)
		if !l.copied {
			continue
		}
		took, err := disk.copyOf(ctx, s.Disks[0])
		if err != nil {
			return r, err
		}
		r.copies = append(r.copies, took)
	}
	var deleted orchestrator.DeleteResult
	_, err = p.Do(ctx, &deleted, "snapshot-delete", d.Name(), "base")
	return r, err
}

// onDisk writes to a disk whose domain is off.
type onDisk struct {
	kind lab.Kind
	file string
	// written is how many MiB have data, in one of so many spots.
	written, sparse int
}

func (d *onDisk) format() string {
	if d.kind == lab.QcowFile {
		return "qcow2"
	}
	return "raw"
}

// name is the disk as QEMU's tools call it.
func (d *onDisk) name() string {
	if d.kind == lab.RBD {
		return "rbd:" + d.file
	}
	return d.file
}

// fill writes spots of 4 MiB.
func (d *onDisk) fill(ctx context.Context) error {
	const spot = 4
	var writes []string
	for at := 0; at < d.written; at += spot {
		writes = append(writes, "-c", fmt.Sprintf("write -q -P 201 %dM %dM", at*d.sparse, spot))
	}
	return d.write(ctx, writes)
}

// change writes so many MiB, each somewhere else in the data, and in every round at the same places: a COW volume has
// room for these.
func (d *onDisk) change(ctx context.Context, count, round int) error {
	var writes []string
	for i := range count {
		at := i * d.written / count
		place := at/4*4*d.sparse + at%4
		writes = append(writes, "-c", fmt.Sprintf("write -q -P %d %dM 1M", 1+(round*count+i)%200, place))
	}
	return d.write(ctx, writes)
}

func (d *onDisk) write(ctx context.Context, writes []string) error {
	_, err := lab.Command(ctx, "qemu-io", append(append([]string{"-f", d.format()}, writes...), d.name())...)
	return err
}

// copyOf copies the snapshot back as one would without domsnap, onto a disk beside it.
func (d *onDisk) copyOf(ctx context.Context, s orchestrator.SnapshotDisk) (time.Duration, error) {
	from := s.BackupSource.URI
	if from == "" {
		from = d.file
	}
	if d.kind == lab.ThinLV {
		if _, err := lab.Command(ctx, "lvchange", "-ay", "-K", from); err != nil {
			return 0, err
		}
		defer func() { _, _ = lab.Command(ctx, "lvchange", "-an", from) }()
	}
	to, remove, err := d.beside(ctx)
	if err != nil {
		return 0, err
	}
	defer remove()
	start := time.Now()
	_, err = lab.Command(ctx, "qemu-img", "convert", "-f", orRaw(s.BackupSource.Format), "-O", d.format(), "-t", "writeback", from, to)
	return time.Since(start), err
}

func orRaw(format string) string {
	if format == "" {
		return "qcow2"
	}
	return format
}

// beside is a place for a copy on the same storage.
func (d *onDisk) beside(ctx context.Context) (string, func(), error) {
	switch d.kind {
	case lab.RBD:
		image := d.file + "-copy"
		return "rbd:" + image, func() { _, _ = lab.Command(ctx, "rbd", "rm", "--no-progress", image) }, nil
	case lab.ThickLV, lab.ThinLV:
		return d.besideLV(ctx)
	default:
		file := d.file + ".copy"
		return file, func() { _ = os.Remove(file) }, nil
	}
}

func (d *onDisk) besideLV(ctx context.Context) (string, func(), error) {
	copied := d.file + "-copy"
	group, name, _ := strings.Cut(strings.TrimPrefix(copied, "/dev/"), "/")
	args := []string{"-q", "-y", "-n", name, "-V", fmt.Sprintf("%dm", largeDisk/mib), "--thinpool", "pool0", group}
	_, err := lab.Command(ctx, "lvcreate", args...)
	return copied, func() { _, _ = lab.Command(ctx, "lvremove", "-q", "-y", group+"/"+name) }, err
}
