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

// fewSnapshots and manySnapshots are what a domain has when the cost of its records is measured.
const fewSnapshots, manySnapshots = 10, 1000

// records shows what the records of a thousand snapshots of four disks cost every verb that reads or writes them.
func records(ctx context.Context, p cli.Program) (err error) {
	disk := lab.Disk{Kind: lab.BtrfsSubvol, Size: 4 * mib, FS: lab.NoFS}
	d, err := lab.NewDomain(lab.Options{Name: "benchmany", Disks: []lab.Disk{disk, disk, disk, disk}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	r := recorder{p: p, domain: d.Name()}
	few, err := r.with(ctx, fewSnapshots)
	if err != nil {
		return err
	}
	many, err := r.with(ctx, manySnapshots)
	if err != nil {
		return err
	}
	fmt.Printf("records of four disks\n  %4d snapshots: %s\n  %4d snapshots: %s\n  create ratio %.2f, list %+d ms\n\n",
		fewSnapshots, few, manySnapshots, many, float64(many.create.median())/float64(few.create.median()),
		(many.list.median() - few.list.median()).Milliseconds())
	return errors.Join(r.stillRead(ctx), r.removeAll(ctx))
}

// recorder takes snapshots of one domain.
type recorder struct {
	p      cli.Program
	domain string
	taken  int
}

// recordCosts is what was measured.
type recordCosts struct {
	create, remove, list series
	metadata             int
}

func (c recordCosts) String() string {
	return fmt.Sprintf("create %v, delete %v, list %v, metadata %d bytes", c.create, c.remove, c.list, c.metadata)
}

// with measures the verbs on a domain that has so many snapshots.
func (r *recorder) with(ctx context.Context, snapshots int) (c recordCosts, err error) {
	for ; r.taken < snapshots; r.taken++ {
		if _, err := r.do(ctx, "snapshot-create-as", r.domain, snapshotName(r.taken)); err != nil {
			return c, err
		}
	}
	for range rounds {
		for _, verb := range []struct {
			costs *series
			args  []string
		}{
			{&c.create, []string{"snapshot-create-as", r.domain, "one-more"}},
			{&c.list, []string{"snapshot-list", r.domain}},
			{&c.remove, []string{"snapshot-delete", r.domain, "one-more"}},
		} {
			took, err := r.do(ctx, verb.args...)
			if err != nil {
				return c, err
			}
			*verb.costs = append(*verb.costs, took)
		}
	}
	text, err := lab.Command(ctx, "virsh", "metadata", r.domain, "urn:domsnap:lineage:1")
	c.metadata = len(text)
	return c, err
}

func (r *recorder) do(ctx context.Context, args ...string) (time.Duration, error) {
	var answer any
	result, err := r.p.Do(ctx, &answer, args...)
	return result.Took, err
}

// stillRead: libvirt gives the domain away as for a migration, and takes it back.
func (r *recorder) stillRead(ctx context.Context) error {
	script := `virsh dumpxml "$1" >/dev/null && virsh dumpxml --migratable "$1" >/run/"$1".xml && virsh define --validate /run/"$1".xml`
	if _, err := lab.Command(ctx, "sh", "-c", script, "sh", r.domain); err != nil {
		return err
	}
	var list []orchestrator.Snapshot
	if _, err := r.p.Do(ctx, &list, "snapshot-list", r.domain); err != nil {
		return err
	}
	if len(list) != r.taken {
		return fmt.Errorf("of %d snapshots %d are left", r.taken, len(list))
	}
	return nil
}

// removeAll takes the snapshots away, so that the domain can go.
func (r *recorder) removeAll(ctx context.Context) error {
	_, err := r.do(ctx, "snapshot-delete", r.domain, snapshotName(0), "--children")
	return err
}

func snapshotName(n int) string { return fmt.Sprintf("nightly-%04d", n) }
