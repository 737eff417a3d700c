package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// against compares this program with another build of it: what a change costs a snapshot of a running guest from its
// start to its end, and how long it is frozen. The variable DOMSNAP_OTHER names the other.
func against(ctx context.Context, p cli.Program) error {
	other := cli.Program{Path: os.Getenv("DOMSNAP_OTHER"), StateDir: p.StateDir}
	if other.Path == "" {
		return errors.New("find the other program: the variable DOMSNAP_OTHER does not name it")
	}
	return withGuest(fiveDisks(), func(d *lab.Domain) error {
		for _, way := range []string{"--shield", "--hold"} {
			var one, two costs
			for range 3 * rounds {
				if err := errors.Join(one.take(ctx, p, d, way), two.take(ctx, other, d, way)); err != nil {
					return err
				}
			}
			compare("snapshot-create-as "+way+", whole process", one.whole, two.whole, "other")
			compare("snapshot-create-as "+way+", guest frozen", one.frozen, two.frozen, "other")
		}
		return nil
	})
}

// costs are what snapshots by one program take.
type costs struct{ whole, frozen series }

// take measures one snapshot.
func (c *costs) take(ctx context.Context, p cli.Program, d *lab.Domain, way string) error {
	time.Sleep(settle)
	var s orchestrator.Snapshot
	r, err := p.Do(ctx, &s, "snapshot-create-as", d.Name(), "bench", way)
	if err != nil {
		return err
	}
	c.whole = append(c.whole, r.Took)
	c.frozen = append(c.frozen, time.Duration(s.Consistency.FrozenMS)*time.Millisecond)
	var deleted orchestrator.DeleteResult
	_, err = p.Do(ctx, &deleted, "snapshot-delete", d.Name(), "bench")
	return err
}
