package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/domsnap/domsnap/orchestrator/keep"
	"github.com/domsnap/domsnap/orchestrator/lease"
	"github.com/domsnap/domsnap/xmlspec"
)

// SafetyFor is how long a safety snapshot stays where nothing else is said: who has reverted to the wrong snapshot mostly
// sees so within the week.
const SafetyFor = 7 * 24 * time.Hour

// PruneOptions say which snapshots stay. The one that the present derives from does anyway.
type PruneOptions struct {
	Domain string
	// Keep are the rules for the snapshots that somebody asked for.
	Keep keep.Rules
	// SafetyFor is how long those stay that reverts have made.
	SafetyFor time.Duration
}

// PruneResult is what stayed and what went.
type PruneResult struct {
	Kept []Kept `json:"kept"`
	DeleteResult
	// Ancestors are those among the deleted that the present derives from.
	Ancestors []string `json:"ancestors"`
}

// Kept is a snapshot that stays, and the rules by which.
type Kept struct {
	Name    string   `json:"name"`
	Because []string `json:"because"`
}

// Prune deletes the snapshots that no rule keeps, the youngest first. One that something stands in the way of goes later.
func (o *Orchestrator) Prune(ctx context.Context, opts PruneOptions) (_ *PruneResult, err error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	ctx, op, err := o.begin(ctx, opts.Domain)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	p, err := op.pruning(opts)
	if err != nil {
		return nil, err
	}
	d := op.deletion()
	d.patient = true
	deleted, err := d.all(ctx, p.doomed)
	if err != nil {
		return nil, err
	}
	return &PruneResult{Kept: p.kept, DeleteResult: *deleted, Ancestors: p.ancestors}, nil
}

// PlanPrune lists what Prune would do.
func (o *Orchestrator) PlanPrune(ctx context.Context, opts PruneOptions) ([]PlannedStep, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	op, err := o.look(ctx, opts.Domain)
	if err != nil {
		return nil, err
	}
	p, err := op.pruning(opts)
	if err != nil {
		return nil, err
	}
	steps := []PlannedStep{}
	for _, k := range p.kept {
		steps = append(steps, PlannedStep{Step: fmt.Sprintf("keep snapshot %s: %s", k.Name, strings.Join(k.Because, ", "))})
	}
	for _, name := range p.ancestors {
		steps = append(steps, PlannedStep{Step: fmt.Sprintf("the present derives from snapshot %s, which goes", name)})
	}
	return append(steps, op.deleteSteps(p.doomed, false)...), nil
}

func (opts PruneOptions) check() error {
	if err := opts.Keep.Check(); err != nil {
		return &Problem{Kind: ErrUsage, Err: err, Hint: "for one: --keep-last 3 --keep-daily 7 --keep-weekly 4"}
	}
	return nil
}

// pruning is what stays, and the ids of what goes, the youngest first.
type pruning struct {
	kept      []Kept
	doomed    []string
	ancestors []string
}

func (op *operation) pruning(opts PruneOptions) (pruning, error) {
	p := pruning{kept: []Kept{}, ancestors: []string{}}
	if err := errors.Join(op.findBases(), op.findAsked()); err != nil {
		return p, err
	}
	ancestors := op.lineage.Ancestors(op.lineage.Current)
	for i, because := range op.keptBecause(opts) {
		s := op.lineage.Snapshots[i]
		because = append(because, op.incrementsOf(s.ID)...)
		if op.asksFor(s.ID) {
			because = append(because, "revert at shutdown")
		}
		if len(because) > 0 {
			p.kept = append(p.kept, Kept{s.Name, because})
			continue
		}
		p.doomed = append(p.doomed, s.ID)
		if slices.Contains(ancestors, s.ID) {
			p.ancestors = append(p.ancestors, s.Name)
		}
	}
	slices.Reverse(p.doomed)
	return p, nil
}

// keptBecause says of each snapshot what keeps it.
func (op *operation) keptBecause(opts PruneOptions) [][]string {
	all := op.lineage.Snapshots
	because := make([][]string, len(all))
	var asked []int
	var times []time.Time
	for i, s := range all {
		switch l := leaseOf(&s); {
		case l != lease.Lease{}:
			if !l.Over(op.Now()) {
				because[i] = []string{"temporary"}
			}
		case s.Safety:
			because[i] = op.keptAsSafety(s, opts.SafetyFor)
		case s.State == StatePendingDelete:
		default:
			asked, times = append(asked, i), append(times, time.Unix(s.Created, 0))
		}
		if s.ID == op.lineage.Current {
			because[i] = append(because[i], "current")
		}
	}
	for n, rules := range opts.Keep.Choose(times) {
		because[asked[n]] = append(because[asked[n]], rules...)
	}
	return because
}

func (op *operation) keptAsSafety(s xmlspec.LineageSnapshot, lasting time.Duration) []string {
	until := time.Unix(s.Created, 0).Add(lasting)
	if !op.Now().Before(until) {
		return nil
	}
	return []string{"safety until " + until.UTC().Format(time.RFC3339)}
}
