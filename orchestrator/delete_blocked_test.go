package orchestrator_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
)

var errClone error = &methods.Blocked{What: "a clone was made of it", Hint: "flatten it"}

// blockDrops has something in the way of the drop of the second disk, at those of the checks to come, counted from 1.
func (r *rig) blockDrops(checks ...int) {
	n := 0
	r.store.On(memory.AtCheckDrop, "vdb", func(context.Context) error {
		if n++; slices.Contains(checks, n) {
			return errClone
		}
		return nil
	})
}

func TestDeleteThatIsBlockedChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		opts orchestrator.DeleteOptions
		// at is the check that finds it.
		at int
	}{
		"one":                     {orchestrator.DeleteOptions{Snapshot: "two"}, 1},
		"with children, a child":  {orchestrator.DeleteOptions{Snapshot: "one", Children: true}, 2},
		"with children, the last": {orchestrator.DeleteOptions{Snapshot: "one", Children: true}, 1},
		"children only":           {orchestrator.DeleteOptions{Snapshot: "one", ChildrenOnly: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := twoSnapshots(t)
			c.opts.Domain = "web1"
			before := append(r.store.Objects(), r.domain.metadata)
			r.blockDrops(c.at)
			_, err := r.Delete(t.Context(), c.opts)
			wantError(t, err, methods.ErrBlocked)
			if errors.Is(err, orchestrator.ErrUnfinished) {
				t.Errorf("it is unfinished: %v", err)
			}
			r.wantNoJournal()
			r.blockDrops(1)
			_, err = r.PlanDelete(t.Context(), c.opts)
			wantError(t, err, methods.ErrBlocked)
			if diff := cmp.Diff(before, append(r.store.Objects(), r.domain.metadata)); diff != "" {
				t.Errorf("something was changed: %s", diff)
			}
			r.blockDrops()
			if _, err := r.Delete(t.Context(), c.opts); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDeleteOfTheMetadataIsNotBlocked(t *testing.T) {
	r := newRig(t)
	s := r.take("one")
	r.blockDrops(1)
	opts := orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one", Metadata: true}
	if _, err := r.Delete(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	r.wantNames()
	for _, d := range s.Disks {
		r.orphans = append(r.orphans, d.Ref)
	}
}

// A snapshot that is needed is put off, whoever stands in the way of its drop: that is often who needs it.
func TestDeleteOfWhatIsNeededIsPutOffAlsoWhenItIsBlocked(t *testing.T) {
	var method *layered
	r := newRig(t, layeredAs(&method)).off()
	one, two := r.takeBy("one", "layered"), r.takeBy("two", "layered")
	method.needs[one.ID] = two.ID
	r.blockDrops(1)
	result, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"})
	if err != nil || len(result.PendingDelete) != 1 {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestWhatIsBlockedWaitsAndStopsNobody(t *testing.T) {
	for name, begin := range map[string]func(*rig) (orchestrator.DeleteResult, error){
		"prune": func(r *rig) (orchestrator.DeleteResult, error) {
			p, err := r.Prune(r.t.Context(), lastTwo())
			return p.DeleteResult, err
		},
		"the end of leases": func(r *rig) (orchestrator.DeleteResult, error) {
			d, err := r.Expire(r.t.Context(), "web1")
			return *d, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).off()
			r.leased("mon")
			r.leased("tue")
			r.take("wed")
			r.take("thu")
			r.clock = r.clock.Add(time.Hour)
			// The youngest goes first, and is tried once more at the end.
			r.blockDrops(1, 3)
			got, err := begin(r)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Deleted, []string{"mon"}) || len(got.PendingDelete) != 1 || got.PendingDelete[0].Name != "tue" {
				t.Errorf("%+v", got)
			}
			s, err := r.Info(t.Context(), "web1", "tue")
			if err != nil || s.State != orchestrator.StatePendingDelete || s.Reason == "" {
				t.Errorf("afterwards: %+v, %v", s, err)
			}
			again, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "thu"})
			if err != nil || !slices.Equal(again.Deleted, []string{"thu", "tue"}) {
				t.Errorf("%+v, %v", again, err)
			}
			r.wantNames("wed")
		})
	}
}
