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
		for title, options := range map[string][]string{"behind a shield": {"--shield"}, "without": {"--hold"}} {
			var whole, frozen [2]series
			for range 3 * rounds {
				for i, program := range []cli.Program{p, other} {
					if err := both(ctx, program, d, options, &whole[i], &frozen[i]); err != nil {
						return err
					}
				}
			}
			compare("snapshot-create-as "+title+", whole process", whole[0], whole[1], "other")
			compare("snapshot-create-as "+title+", guest frozen", frozen[0], frozen[1], "other")
		}
		return nil
	})
}

// both measures the whole and the frozen time of one snapshot.
func both(ctx context.Context, p cli.Program, d *lab.Domain, options []string, whole, frozen *series) error {
	time.Sleep(settle)
	var s orchestrator.Snapshot
	r, err := p.Do(ctx, &s, append([]string{"snapshot-create-as", d.Name(), "bench"}, options...)...)
	if err != nil {
		return err
	}
	*whole = append(*whole, r.Took)
	*frozen = append(*frozen, time.Duration(s.Consistency.FrozenMS)*time.Millisecond)
	var deleted orchestrator.DeleteResult
	_, err = p.Do(ctx, &deleted, "snapshot-delete", d.Name(), "bench")
	return err
}
