package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

const (
	// replicated is the disk's size, changedAtOnce that of one change, changesOf1 how many of them are 1 %.
	replicated    = 1 << 30
	changedAtOnce = 64 << 10
	changesOf1    = replicated / 100 / changedAtOnce
)

// replication brings one increment after the other of a full disk to two places: by domsnap, and as one would without.
type replication struct {
	program cli.Program
	domain  *lab.Domain
	disk    *onDisk
	to      string
	// theirs brings the increment between two snapshots; streamed says how many bytes that moves.
	theirs, streamed func(from, to string) string
	base             orchestrator.Snapshot
	rounds           int
}

// increments are what the rounds took and moved.
type increments struct {
	ours, process, theirs series
	moved, streamed       []int64
}

// compare brings the disk to both places in full, theirs by the line first makes of the snapshot, and measures increments.
func (r *replication) compare(ctx context.Context, title, instead string, first func(ref string) string) (err error) {
	if r.base, err = r.snapshot(ctx); err != nil {
		return err
	}
	if _, _, err := r.ours(ctx, r.base); err != nil {
		return err
	}
	if _, err := line(ctx, first(r.base.Disks[0].Ref)); err != nil {
		return err
	}
	for _, percent := range []int{1, 10} {
		var all increments
		for range rounds {
			if err := r.round(ctx, percent*changesOf1, &all); err != nil {
				return err
			}
		}
		all.print(fmt.Sprintf("%d %% of %s", percent, title), instead)
	}
	return r.end(ctx)
}

func (r *replication) snapshot(ctx context.Context) (s orchestrator.Snapshot, err error) {
	r.rounds++
	_, err = r.program.Do(ctx, &s, "snapshot-create-as", r.domain.Name(), fmt.Sprintf("s%d", r.rounds))
	return s, err
}

func (r *replication) ours(ctx context.Context, s orchestrator.Snapshot) (done orchestrator.Replicated, whole time.Duration, err error) {
	ran, err := r.program.Do(ctx, &done, "snapshot-replicate", r.domain.Name(), s.Name, "--to", r.to)
	return done, ran.Took, err
}

// round has them take turns at being first.
func (r *replication) round(ctx context.Context, changes int, all *increments) error {
	if err := spread(ctx, r.disk, changes, r.rounds); err != nil {
		return err
	}
	s, err := r.snapshot(ctx)
	if err != nil {
		return err
	}
	from, to := r.base.Disks[0].Ref, s.Disks[0].Ref
	both := []func() error{
		func() error {
			done, whole, err := r.ours(ctx, s)
			all.ours, all.process = append(all.ours, time.Duration(done.TookMS)*time.Millisecond), append(all.process, whole)
			all.moved = append(all.moved, done.BytesMoved)
			return err
		},
		func() error {
			took, err := line(ctx, r.theirs(from, to))
			all.theirs = append(all.theirs, took)
			return err
		},
	}
	for i := range both {
		time.Sleep(settle)
		if err := both[(i+r.rounds)%2](); err != nil {
			return err
		}
	}
	r.base = s
	n, err := count(ctx, r.streamed(from, to))
	all.streamed = append(all.streamed, n)
	return err
}

// spread changes pieces of 64 KiB, each round at other places, evenly over the disk.
func spread(ctx context.Context, d *onDisk, pieces, round int) error {
	var writes []string
	stride := d.written * mib / changedAtOnce / pieces
	for i := range pieces {
		place := i*stride + (i*7+round*11)%stride
		writes = append(writes, "-c", fmt.Sprintf("write -q -P %d %d %d", 1+(round*7+i)%200, place*changedAtOnce, changedAtOnce))
	}
	return d.write(ctx, writes)
}

// line runs a line as somebody would type it.
func line(ctx context.Context, text string) (time.Duration, error) {
	start := time.Now()
	_, err := lab.Command(ctx, "bash", "-o", "pipefail", "-c", text)
	return time.Since(start), err
}

func count(ctx context.Context, text string) (int64, error) {
	out, err := lab.Command(ctx, "bash", "-o", "pipefail", "-c", text+" | wc -c")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(out), 10, 64)
}

func (all increments) print(title, instead string) {
	compare(title, all.ours, all.theirs, instead)
	compare(title+", whole process", all.process, all.theirs, instead)
	fmt.Printf("%s, bytes moved\n  domsnap    %v\n  %-10s %v\n  ratio      %.3f\n\n", title, all.moved, instead, all.streamed,
		float64(sum(all.moved))/float64(sum(all.streamed)))
}

func sum(all []int64) (total int64) {
	for _, n := range all {
		total += n
	}
	return total
}

// onReplicated makes a domain with a full disk of a kind.
func onReplicated(ctx context.Context, kind lab.Kind, size int64) (*lab.Domain, *onDisk, error) {
	d, err := lab.NewDomain(lab.Options{Name: "benchrepl", Disks: []lab.Disk{{Kind: kind, Size: size, FS: lab.NoFS}}})
	if err != nil {
		return nil, nil, err
	}
	disk := &onDisk{kind: kind, file: d.Source("vda"), written: int(size / mib), sparse: 1}
	if err := disk.fill(ctx); err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	return d, disk, nil
}

// end lets go of the snapshots and removes them.
func (r *replication) end(ctx context.Context) error {
	var all []orchestrator.Snapshot
	_, err := r.program.Do(ctx, &all, "snapshot-list", r.domain.Name())
	var deleted orchestrator.DeleteResult
	if err == nil {
		_, err = r.program.Do(ctx, &deleted, "replica-forget", r.domain.Name(), "--to", r.to)
	}
	for _, s := range all {
		if err == nil {
			_, err = r.program.Do(ctx, &deleted, "snapshot-delete", r.domain.Name(), s.Name)
		}
	}
	return err
}

// rbdReplicate compares an increment of an rbd image to another pool with Ceph's own.
func rbdReplicate(ctx context.Context, p cli.Program) (err error) {
	for _, pool := range []string{"ours", "theirs"} {
		if _, err := line(ctx, "ceph osd pool create "+pool+" 8 && rbd pool init "+pool); err != nil {
			return err
		}
	}
	d, disk, err := onReplicated(ctx, lab.RBD, replicated)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	r := &replication{program: p, domain: d, disk: disk, to: "rbd:ours"}
	r.streamed = func(from, to string) string {
		_, snap, _ := strings.Cut(from, "@")
		return fmt.Sprintf("rbd export-diff --no-progress --from-snap %s %s -", snap, to)
	}
	into := " | rbd import-diff --no-progress - theirs/disk"
	r.theirs = func(from, to string) string { return r.streamed(from, to) + into }
	return r.compare(ctx, "a 1 GiB rbd image to another pool", "export-diff", func(ref string) string {
		return fmt.Sprintf("rbd create --size %dB theirs/disk && rbd export-diff --no-progress %s -%s", replicated, ref, into)
	})
}

// btrfsReplicate compares an increment of a disk on btrfs to another btrfs with btrfs's own.
func btrfsReplicate(ctx context.Context, p cli.Program) (err error) {
	dir, remove, err := otherBtrfs(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	d, disk, err := onReplicated(ctx, lab.BtrfsSubvol, replicated)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	r := &replication{program: p, domain: d, disk: disk, to: "file:" + dir + "/ours"}
	r.streamed = func(from, to string) string {
		return fmt.Sprintf("btrfs -q send -p %s %s", from, to)
	}
	into := " | btrfs -q receive " + dir
	r.theirs = func(from, to string) string { return r.streamed(from, to) + into }
	return r.compare(ctx, "a 1 GiB disk on btrfs to another btrfs", "send", func(ref string) string { return "btrfs -q send " + ref + into })
}

// otherBtrfs is another file system, as large as the lab's.
func otherBtrfs(ctx context.Context) (dir string, remove func() error, err error) {
	const file = "/var/lib/lab/other.img"
	if dir, err = os.MkdirTemp("", "other-btrfs"); err != nil {
		return "", nil, err
	}
	if _, err := line(ctx, fmt.Sprintf("truncate -s 4G %[1]s && mkfs.btrfs -q %[1]s && mount -o loop %[1]s %[2]s", file, dir)); err != nil {
		return "", nil, err
	}
	return dir, func() error {
		_, err := line(context.WithoutCancel(ctx), fmt.Sprintf("umount %s && rm -r %s %s", dir, dir, file))
		return err
	}, nil
}

const (
	kindsSize  = 400 * mib
	kindsMoves = kindsSize / 100 / changedAtOnce
)

// replicateKinds counts what an increment moves to a place of another kind.
func replicateKinds(ctx context.Context, p cli.Program) (err error) {
	if _, err := line(ctx, "ceph osd pool create kinds 8 && rbd pool init kinds"); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("/var/lib/lab/btrfs", "kinds")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, k := range []struct {
		name string
		kind lab.Kind
		to   string
	}{
		{"qcow2 to btrfs", lab.QcowFile, "file:" + dir}, {"thick LV to rbd", lab.ThickLV, "rbd:kinds"}, {"thin LV to btrfs", lab.ThinLV, "file:" + dir},
		{"btrfs to rbd", lab.BtrfsSubvol, "rbd:kinds"}, {"XFS to rbd", lab.XFSFile, "rbd:kinds"}, {"rbd to btrfs", lab.RBD, "file:" + dir},
	} {
		if err := kindReplicate(ctx, p, k.kind, labelled{k.name, k.to}); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

// labelled is a place of replicas, and what it is called.
type labelled struct{ name, to string }

func kindReplicate(ctx context.Context, p cli.Program, kind lab.Kind, l labelled) (err error) {
	d, disk, err := onReplicated(ctx, kind, kindsSize)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	r := &replication{program: p, domain: d, disk: disk, to: l.to}
	for round := range 2 {
		s, err := r.snapshot(ctx)
		if err != nil {
			return err
		}
		disk.file = s.Disks[0].Source
		done, whole, err := r.ours(ctx, s)
		if err != nil {
			return err
		}
		if round == 0 {
			if err := spread(ctx, disk, kindsMoves, round); err != nil {
				return err
			}
			continue
		}
		const changed = kindsMoves * changedAtOnce
		fmt.Printf("1 %% of 400 MiB, %s (%s)\n  changed    %d bytes\n  moved      %d bytes in %d ms, whole process %d ms\n  ratio      %.3f\n\n",
			l.name, done.Disks[0].How, changed, done.BytesMoved, done.TookMS, whole.Milliseconds(), float64(done.BytesMoved)/changed)
	}
	return r.end(ctx)
}
