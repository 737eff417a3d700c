package orchestrator_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/keep"
	"github.com/domsnap/domsnap/quiesce"
)

// asking is a domain that runs, has two snapshots, and is to revert to the first at its next shutdown.
func asking(t *testing.T) *rig {
	t.Helper()
	r := twoSnapshots(t)
	r.enter(orchestrator.Running)
	r.ask(revertTo("one"))
	return r
}

func (r *rig) ask(opts orchestrator.RevertOptions) *orchestrator.AtShutdown {
	r.t.Helper()
	a, err := r.RevertAtShutdown(r.t.Context(), opts)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// shutDown has the domain go off by itself.
func (r *rig) shutDown(how orchestrator.Ending) {
	r.enter(orchestrator.Shutoff)
	r.domain.edit(func(d *fakeDomain) { d.ending = how })
}

// boot starts the domain as anybody does.
func (r *rig) boot() {
	r.t.Helper()
	if err := r.domain.Start(r.t.Context(), false); err != nil {
		r.t.Fatal(err)
	}
	r.domain.edit(func(d *fakeDomain) { d.ending = orchestrator.EndUnknown })
}

// wantAsked: what is asked for at the shutdown is a revert to this snapshot; empty for nothing.
func (r *rig) wantAsked(name string) {
	r.t.Helper()
	a, err := r.NoticeEnd(r.t.Context(), "web1")
	if err != nil {
		r.t.Fatal(err)
	}
	if a == nil {
		a = &orchestrator.AtShutdown{}
	}
	if a.Snapshot != name || orchestrator.Asked(r.dir, r.domain.uuid) != (name != "") {
		r.t.Errorf("what is asked for is %+v, want %q", a, name)
	}
}

func (r *rig) wantRecovered(want ...string) {
	r.t.Helper()
	var did []string
	for _, one := range r.recover() {
		did = append(did, one.Did...)
	}
	if diff := cmp.Diff(want, did); diff != "" {
		r.t.Errorf("recover: %s", diff)
	}
}

const revertedToOne = "reverted to one, as was asked for at the shutdown"

func TestRevertAtShutdownWaitsUntilTheDomainIsOff(t *testing.T) {
	r := asking(t)
	for range 2 {
		r.wantRecovered()
		r.wantContent("a now", "b now")
		r.wantAsked("one")
		r.wantFound()
		r.enter(orchestrator.Paused)
	}
	r.shutDown(orchestrator.EndDown)
	r.wantFound("waiting | one | the revert to one that was asked for at the shutdown was not done, and the domain is off")
	r.wantRecovered(revertedToOne)
	r.wantContent("a one", "b one")
	r.wantState(orchestrator.Shutoff)
	r.wantAsked("")
	r.wantFound()
	// It was asked for once.
	r.write("a later", "b later")
	r.boot()
	r.shutDown(orchestrator.EndDown)
	r.wantRecovered()
	r.wantContent("a later", "b later")
}

func TestRevertAtShutdownGoesByWhatWasAskedFor(t *testing.T) {
	r := twoSnapshots(t)
	r.enter(orchestrator.Running)
	opts := orchestrator.RevertOptions{Domain: "web1", Snapshot: "one", Disks: []string{"vdb"}, After: orchestrator.Paused}
	a := r.ask(opts)
	if a.Snapshot != "one" || a.StateAfter != orchestrator.Paused || len(a.Disks) != 1 || a.Due || a.Instead != nil {
		t.Errorf("it answers %+v", a)
	}
	r.shutDown(orchestrator.EndDown)
	r.wantRecovered(revertedToOne)
	r.wantContent("a now", "b one")
	r.wantState(orchestrator.Paused)
	if safety := r.names(); len(safety) != 3 {
		t.Errorf("the present is not kept: %q", safety)
	}
}

func TestLaterRequestTakesThePlaceOfAnEarlier(t *testing.T) {
	r := asking(t)
	if a := r.ask(revertTo("two")); a.Instead == nil || *a.Instead != "one" {
		t.Errorf("it answers %+v", a)
	}
	r.wantAsked("two")
	r.shutDown(orchestrator.EndDown)
	r.recover()
	r.wantContent("a two", "b two")
}

func TestRequestIsShownWithItsSnapshot(t *testing.T) {
	r := asking(t)
	list, err := r.List(t.Context(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.RevertAtShutdown != (s.Name == "one") {
			t.Errorf("%s: %t", s.Name, s.RevertAtShutdown)
		}
	}
}

func TestRequestIsTakenBack(t *testing.T) {
	r := asking(t)
	_, err := r.CancelRevert(t.Context(), "web1", "two")
	wantError(t, err, orchestrator.ErrNotFound)
	r.wantAsked("one")
	if _, err := r.CancelRevert(t.Context(), "web1", "one"); err != nil {
		t.Fatal(err)
	}
	r.wantAsked("")
	r.shutDown(orchestrator.EndDown)
	r.wantRecovered()
	r.wantContent("a now", "b now")
	_, err = r.CancelRevert(t.Context(), "web1", "one")
	wantError(t, err, orchestrator.ErrNotFound)
}

func TestRevertThatIsDoneNowStandsForTheRequest(t *testing.T) {
	r := asking(t)
	opts := revertTo("two")
	opts.Force = true
	result, err := r.Revert(t.Context(), opts)
	if err != nil || result.Withdrawn == nil || *result.Withdrawn != "one" {
		t.Errorf("%+v, %v", result, err)
	}
	r.wantAsked("")
}

func TestRevertAtShutdownIsRefused(t *testing.T) {
	for name, set := range map[string]func(*rig, *orchestrator.RevertOptions){
		"off":       func(r *rig, _ *orchestrator.RevertOptions) { r.enter(orchestrator.Shutoff) },
		"transient": func(r *rig, _ *orchestrator.RevertOptions) { r.domain.edit(func(d *fakeDomain) { d.transient = true }) },
		"temporary": func(r *rig, o *orchestrator.RevertOptions) { o.Snapshot = r.lend(time.Hour) },
		"a disk more": func(r *rig, _ *orchestrator.RevertOptions) {
			r.addDisk(fakeDisk{target: "vdc", file: memory.Prefix + "vdc"}, "c")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := twoSnapshots(t)
			r.enter(orchestrator.Running)
			opts := revertTo("one")
			set(r, &opts)
			_, err := r.RevertAtShutdown(t.Context(), opts)
			wantError(t, err, orchestrator.ErrRefused)
			opts.AtShutdown = true
			_, err = r.PlanRevert(t.Context(), opts)
			wantError(t, err, orchestrator.ErrRefused)
			r.wantAsked("")
		})
	}
}

// lend makes a temporary snapshot.
func (r *rig) lend(lasting time.Duration) string {
	r.t.Helper()
	opts := orchestrator.CreateOptions{Domain: "web1", Name: "lent", Quiesce: quiesce.Try}
	opts.Lease.Until = r.clock.Add(lasting)
	s, err := r.Create(r.t.Context(), opts)
	if err != nil {
		r.t.Fatal(err)
	}
	return s.Name
}

func TestPlanOfARevertAtShutdown(t *testing.T) {
	r := twoSnapshots(t)
	r.enter(orchestrator.Running)
	opts := revertTo("one")
	opts.AtShutdown = true
	steps, err := r.PlanRevert(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if steps[0].Step != "wait until the domain is shut down" || strings.Contains(steps[len(steps)-1].Step, "start") {
		t.Errorf("the plan is %+v", steps)
	}
	r.wantAsked("")
	r.ask(revertTo("one"))
	r.shutDown(orchestrator.EndDown)
	steps, err = r.PlanRecover(t.Context(), "")
	if err != nil || len(steps) != 1 || steps[0].Step != "web1: revert to one, as was asked for at the shutdown" {
		t.Errorf("recover would do %+v, %v", steps, err)
	}
}

func TestWhatTheDomainRevertsToIsNotDeleted(t *testing.T) {
	r := asking(t)
	for _, opts := range []orchestrator.DeleteOptions{
		{Domain: "web1", Snapshot: "one"}, {Domain: "web1", Snapshot: "one", Metadata: true}, {Domain: "web1", Snapshot: "one", Children: true},
	} {
		_, err := r.Delete(t.Context(), opts)
		wantError(t, err, orchestrator.ErrRefused)
		_, err = r.PlanDelete(t.Context(), opts)
		wantError(t, err, orchestrator.ErrRefused)
	}
	if _, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one", ChildrenOnly: true}); err != nil {
		t.Error(err)
	}
	r.take("three")
	result, err := r.Prune(t.Context(), orchestrator.PruneOptions{Domain: "web1", Keep: keep.Rules{Last: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]orchestrator.Kept{{"one", []string{"revert at shutdown"}}, {"three", []string{"current", "last"}}}, result.Kept); diff != "" {
		t.Error(diff)
	}
}

// TestGuestThatGoesOnElsewhereIsNotReverted: its memory believes that the disks are as they were.
func TestGuestThatGoesOnElsewhereIsNotReverted(t *testing.T) {
	r := asking(t)
	for _, ending := range []orchestrator.Ending{orchestrator.EndAway, orchestrator.EndUnknown} {
		// In a file, or on another host; then libvirt is started again and does not know any more.
		r.shutDown(ending)
		if a, err := r.NoticeEnd(t.Context(), "web1"); err != nil || a.Due {
			t.Errorf("it is noticed as %+v, %v", a, err)
		}
		r.wantRecovered()
		r.wantContent("a now", "b now")
		r.wantFound()
	}
	r.domain.edit(func(d *fakeDomain) { d.saved = true })
	r.shutDown(orchestrator.EndDown)
	r.wantRecovered()
	r.domain.edit(func(d *fakeDomain) { d.saved = false })
	r.boot()
	r.shutDown(orchestrator.EndDown)
	r.wantRecovered(revertedToOne)
	r.wantContent("a one", "b one")
}

// TestRequestSurvivesTheHost: nobody knows how the domain went off, only that it is.
func TestRequestSurvivesTheHost(t *testing.T) {
	r := asking(t)
	r.shutDown(orchestrator.EndUnknown)
	r.wantRecovered(revertedToOne)
	r.wantContent("a one", "b one")
}

func TestRevertThatFailsAtTheShutdownStaysAskedFor(t *testing.T) {
	r := asking(t)
	r.shutDown(orchestrator.EndDown)
	r.store.Fail(memory.AtCheckRevert, "vdb", errPlanned)
	_, err := r.Recover(t.Context(), "")
	wantError(t, err, errPlanned)
	r.wantContent("a now", "b now")
	r.store.Fail(memory.AtCheckRevert, "vdb", nil)
	r.wantFound("waiting | one | the revert to one that was asked for at the shutdown did not work")
	a, err := r.NoticeEnd(t.Context(), "web1")
	if err != nil || !strings.Contains(a.Failed, errPlanned.Error()) || !a.Due {
		t.Errorf("%+v, %v", a, err)
	}
	r.wantRecovered(revertedToOne)
	r.wantContent("a one", "b one")
	r.wantFound()
}

// TestRevertThatStopsAtTheShutdownIsDoneOnce: recover finishes it, and then nothing is asked for any more.
func TestRevertThatStopsAtTheShutdownIsDoneOnce(t *testing.T) {
	r := asking(t)
	r.shutDown(orchestrator.EndDown)
	r.store.Fail(memory.MidRevert, "vdb", errPlanned)
	_, err := r.Recover(t.Context(), "web1")
	wantError(t, err, orchestrator.ErrUnfinished)
	r.store.Fail(memory.MidRevert, "vdb", nil)
	wantError(t, r.domain.Start(t.Context(), false), orchestrator.ErrUnfinished)
	r.wantAsked("one")
	_, err = r.CancelRevert(t.Context(), "web1", "one")
	wantError(t, err, orchestrator.ErrUnfinished)
	r.wantRecovered("reverted to one")
	r.wantContent("a one", "b one")
	r.wantAsked("")
}

// TestStartRightBehindTheShutdown: the domain runs before anybody could revert it; the request waits for the next end.
func TestStartRightBehindTheShutdown(t *testing.T) {
	r := asking(t)
	r.shutDown(orchestrator.EndDown)
	r.store.On(memory.AtCheckRevert, "vdb", func(context.Context) error {
		r.boot()
		return nil
	})
	r.wantRecovered()
	r.store.On(memory.AtCheckRevert, "vdb", nil)
	r.wantState(orchestrator.Running)
	r.wantContent("a now", "b now")
	r.wantNoJournal()
	r.wantAsked("one")
	r.wantFound()
	r.shutDown(orchestrator.EndDown)
	r.wantRecovered(revertedToOne)
}

func TestRequestThatCannotBeReadIsSaidAndDoesNothing(t *testing.T) {
	r := asking(t)
	files, err := filepath.Glob(r.dir + "/at-shutdown/*")
	if err != nil || len(files) != 1 {
		t.Fatalf("there are %q, %v", files, err)
	}
	if err := os.Truncate(files[0], 40); err != nil {
		t.Fatal(err)
	}
	r.shutDown(orchestrator.EndDown)
	if !orchestrator.Asked(r.dir, r.domain.uuid) {
		t.Error("the hook takes it for none")
	}
	_, err = r.Recover(t.Context(), "")
	wantError(t, err, orchestrator.ErrRefused)
	_, err = r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"})
	wantError(t, err, orchestrator.ErrRefused)
	r.wantContent("a now", "b now")
	if found := r.found(); len(found) != 1 || !strings.HasPrefix(found[0], "unreadable |  | read what is asked for at the shutdown, "+files[0]) {
		t.Errorf("check finds %q", found)
	}
	if _, err := r.CancelRevert(t.Context(), "web1", "one"); err != nil {
		t.Fatal(err)
	}
	r.wantRecovered()
	r.wantFound()
}

func TestRequestOfADomainThatIsGoneIsInNobodysWay(t *testing.T) {
	r := asking(t)
	if err := os.Rename(r.dir+"/at-shutdown/"+r.domain.uuid+".revert", r.dir+"/at-shutdown/gone.revert"); err != nil {
		t.Fatal(err)
	}
	r.wantRecovered()
	r.wantFound()
}

func TestWhoMayNotRevertMayNotAskForIt(t *testing.T) {
	r := twoSnapshots(t)
	r.enter(orchestrator.Running)
	r.domain.writeFails = func() error { return errPlanned }
	_, err := r.RevertAtShutdown(t.Context(), revertTo("one"))
	wantError(t, err, errPlanned)
	r.domain.writeFails = nil
	r.wantAsked("")
}
