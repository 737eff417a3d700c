package orchestrator_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/journal"
)

// killer ends a verb as SIGKILL does, at one of the points before and after its acts.
type killer struct {
	mu sync.Mutex
	// left is how many points there are still to come until then.
	left int
	dead bool
}

func (k *killer) reach(string, bool) {
	k.mu.Lock()
	k.left--
	k.dead = k.dead || k.left < 0
	dead := k.dead
	k.mu.Unlock()
	if dead {
		runtime.Goexit()
	}
}

// killAt runs a verb until its n-th point, and says whether there was one.
func (r *rig) killAt(n int, verb func(context.Context) error) bool {
	r.t.Helper()
	k, done := &killer{left: n}, make(chan struct{})
	go func() {
		defer close(done)
		_ = verb(trace.With(r.t.Context(), k.reach))
	}()
	<-done
	return k.dead
}

// killEverywhere runs a verb on a new rig for each of its points, kills it there, and looks at what is left.
func killEverywhere(t *testing.T, set func(*testing.T) *rig, verb func(*rig, context.Context) error, check func(*rig, bool)) {
	t.Helper()
	for n := 0; ; n++ {
		r := set(t)
		killed := r.killAt(n, func(ctx context.Context) error { return verb(r, ctx) })
		check(r, killed)
		if t.Failed() {
			t.Fatalf("killed at point %d: %t", n, killed)
		}
		if !killed {
			if n < 5 {
				t.Errorf("there are %d points only", n)
			}
			return
		}
	}
}

// forced is a domain that is on, to be reverted.
func forced(t *testing.T, s orchestrator.State) *rig {
	t.Helper()
	r := twoSnapshots(t)
	r.enter(s)
	return r
}

// TestForcedRevertThatIsKilledIsGivenItsState: at whatever point, the domain ends as it was and with the disks it had, or
// as was asked for and with those of the snapshot.
func TestForcedRevertThatIsKilledIsGivenItsState(t *testing.T) {
	for _, c := range []struct {
		name             string
		before, ask, end orchestrator.State
	}{
		{"running", orchestrator.Running, "", orchestrator.Running},
		{"paused", orchestrator.Paused, "", orchestrator.Paused},
		{"running, to be off", orchestrator.Running, orchestrator.Shutoff, orchestrator.Shutoff},
	} {
		for name, fail := range map[string]memory.Point{"": "", " and fails": memory.AtTake, " and is refused": memory.AtCheckRevert} {
			t.Run(c.name+name, func(t *testing.T) {
				set := func(t *testing.T) *rig {
					r := forced(t, c.before)
					r.store.Fail(fail, "vdb", errPlanned)
					return r
				}
				verb := func(r *rig, ctx context.Context) error {
					_, err := r.Revert(ctx, orchestrator.RevertOptions{Domain: "web1", Snapshot: "one", Force: true, After: c.ask})
					return err
				}
				killEverywhere(t, set, verb, func(r *rig, _ bool) {
					r.store.Fail(fail, "vdb", nil)
					r.recover()
					if string(r.store.Disk(memory.Prefix+"vda")) == "a one" {
						r.wantContent("a one", "b one")
						r.wantState(c.end)
					} else {
						r.wantContent("a now", "b now")
						r.wantState(c.before)
					}
				})
			})
		}
	}
}

// killedOff is a domain that was powered off for a revert which was killed then.
func killedOff(t *testing.T) *rig {
	t.Helper()
	r := forced(t, orchestrator.Running)
	for n := 0; r.domain.state() != orchestrator.Shutoff; n++ {
		r.killAt(n, func(ctx context.Context) error {
			_, err := r.Revert(ctx, orchestrator.RevertOptions{Domain: "web1", Snapshot: "one", Force: true})
			return err
		})
		if r.domain.state() != orchestrator.Shutoff {
			r.recover()
		}
	}
	return r
}

func TestDomainThatWasOnlyPoweredOffIsStartedByRecover(t *testing.T) {
	r := killedOff(t)
	r.wantPlan("web1", "web1: start the domain", "web1: end the journal")
	did := r.recover()
	if len(did) != 1 || strings.Join(did[0].Did, "; ") != "nothing was reverted; started the domain again" {
		t.Errorf("it did %+v", did)
	}
	r.wantState(orchestrator.Running)
	r.wantContent("a now", "b now")
}

// TestDomainThatWasOnlyPoweredOffMayBeStarted: its disks are as they were.
func TestDomainThatWasOnlyPoweredOffMayBeStarted(t *testing.T) {
	r := killedOff(t)
	if err := r.domain.Start(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	r.wantPlan("web1", "web1: end the journal")
	r.recover()
	r.wantState(orchestrator.Running)
}

func TestDomainThatCannotBeStartedAgainIsTold(t *testing.T) {
	r := killedOff(t)
	r.domain.edit(func(d *fakeDomain) { d.startFails = errStart })
	_, err := r.Recover(t.Context(), "web1")
	wantError(t, err, errStart)
	if errors.Is(err, orchestrator.ErrUnfinished) {
		t.Errorf("there is something left to do: %v", err)
	}
}

// TestDomainOfWhichNobodyKnowsWhetherItStartsIsLeftToRecover: it may start yet.
func TestDomainOfWhichNobodyKnowsWhetherItStartsIsLeftToRecover(t *testing.T) {
	r := killedOff(t)
	silent := &orchestrator.Problem{Kind: orchestrator.ErrNoAnswer, Err: errStart}
	r.domain.edit(func(d *fakeDomain) { d.startFails = silent })
	_, err := r.Recover(t.Context(), "web1")
	wantError(t, err, orchestrator.ErrUnfinished, errStart)
	r.domain.edit(func(d *fakeDomain) { d.startFails = nil })
	r.recover()
	r.wantState(orchestrator.Running)
}

func TestDomainThatMayGoOffYetIsLeftToRecover(t *testing.T) {
	r := forced(t, orchestrator.Running)
	silent := &orchestrator.Problem{Kind: orchestrator.ErrNoAnswer, Err: errPlanned}
	r.domain.edit(func(d *fakeDomain) { d.offFails = silent })
	opts := revertTo("one")
	opts.Force = true
	_, err := r.Revert(t.Context(), opts)
	wantError(t, err, orchestrator.ErrUnfinished, errPlanned)
	r.enter(orchestrator.Shutoff)
	r.recover()
	r.wantState(orchestrator.Running)
	r.wantContent("a now", "b now")
}

// TestRevertWhoseDomainDoesNotStartIsDone: the disks are back, and there is nothing that recover could do.
func TestRevertWhoseDomainDoesNotStartIsDone(t *testing.T) {
	r := forced(t, orchestrator.Running)
	r.domain.edit(func(d *fakeDomain) { d.startFails = errStart })
	opts := revertTo("one")
	opts.Force = true
	_, err := r.Revert(t.Context(), opts)
	wantError(t, err, orchestrator.ErrRefused, errStart)
	var problem *orchestrator.Problem
	if !errors.As(err, &problem) || !strings.Contains(problem.Hint, "the disks are reverted") {
		t.Errorf("it says %v", err)
	}
	r.wantNoJournal()
	r.wantContent("a one", "b one")
	if s, err := r.Current(t.Context(), "web1"); err != nil || s.Name != "one" {
		t.Errorf("current is %+v, %v", s, err)
	}
	r.domain.edit(func(d *fakeDomain) { d.startFails = nil })
	if did := r.recover(); len(did) > 0 {
		t.Errorf("recover did %+v", did)
	}
	r.wantState(orchestrator.Shutoff)
}

// TestPowerOffOfADomainThatIsGoneIsOver: nothing of it was reverted.
func TestPowerOffOfADomainThatIsGoneIsOver(t *testing.T) {
	r := newRig(t).off()
	gone := journal.Intent{Verb: journal.Revert, Domain: "gone", UUID: "00000000-0000-4000-8000-00000000dead", PowerOff: true}
	if err := r.journal().Begin(gone); err != nil {
		t.Fatal(err)
	}
	if did, err := r.Recover(t.Context(), gone.UUID); err != nil || len(did) != 1 {
		t.Errorf("it did %+v, %v", did, err)
	}
}

// TestVerifyOutlivesTheProgram: who asked for it is not told that all is well by recover, which has not looked.
func TestVerifyOutlivesTheProgram(t *testing.T) {
	r := twoSnapshots(t)
	opts := revertTo("one")
	opts.Verify = true
	r.breakRevert(opts)
	spoil := func(context.Context) error {
		r.store.SetDisk(memory.Prefix+"vda", []byte("a xxx"))
		return nil
	}
	r.store.On(memory.AfterRevert, "vda", spoil)
	_, err := r.Recover(t.Context(), "web1")
	wantError(t, err, orchestrator.ErrUnfinished)
	r.store.On(memory.AfterRevert, "vda", nil)
	did := r.recover()
	if len(did) != 1 || strings.Join(did[0].Did, "; ") != "reverted to one; compared the disks with one" {
		t.Errorf("it did %+v", did)
	}
}
