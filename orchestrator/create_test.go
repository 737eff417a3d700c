package orchestrator_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/quiesce/quiescetest"
)

func TestCreateRecordsWhatIsThere(t *testing.T) {
	r := newRig(t)
	first := r.take("one")
	r.write("vda more", "vdb more")
	second := r.take("two")
	if first.Parent != nil || second.Parent == nil || *second.Parent != "one" {
		t.Errorf("the parents are %v and %v", first.Parent, second.Parent)
	}
	if !second.Current || second.State != orchestrator.StateAvailable || second.DomainUUID != r.domain.uuid {
		t.Errorf("the second snapshot: %+v", second)
	}
	if got := string(r.store.Snapshot(first.Disks[0].Ref)); got != "vda zero" {
		t.Errorf("the first snapshot holds %q", got)
	}
	r.wantNames("one", "two")
}

func TestCreateTellsHowTheGuestWasHeld(t *testing.T) {
	held := "hold"
	for _, c := range []struct {
		name  string
		set   func(*rig)
		want  orchestrator.Consistency
		calls []string
	}{
		{"running", func(*rig) {},
			orchestrator.Consistency{Level: "filesystem", HeldBy: &held, FilesystemsFrozen: 2, FilesystemsThawed: 2},
			[]string{"ping", "status", "guardian: holding freeze", "freeze", "thaw", "guardian: released", "guardian: dismiss"}},
		{"running, no agent", func(r *rig) { r.guest.Break(quiescetest.Fault{Call: quiescetest.Ping, Err: errPlanned}) },
			orchestrator.Consistency{Level: "crash", HeldBy: &held},
			[]string{"ping", "guardian: holding pause", "pause", "resume", "guardian: released", "guardian: dismiss"}},
		{"running, a disk without file systems", func(r *rig) { r.domain.uncovered = true },
			orchestrator.Consistency{Level: "filesystem", HeldBy: &held, FilesystemsFrozen: 2, FilesystemsThawed: 2},
			[]string{"ping", "status", "guardian: holding freeze", "freeze", "guardian: holding pause", "pause", "resume", "thaw", "guardian: released", "guardian: dismiss"}},
		{"paused", func(r *rig) { r.guest.SetState(0, true) }, orchestrator.Consistency{Level: "crash"}, nil},
		{"off", func(r *rig) { r.off() }, orchestrator.Consistency{Level: "offline"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				c.set(r)
				got := r.take("one").Consistency
				got.Skipped = nil
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(c.calls, r.guest.Log.Lines()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestCreateNamesASnapshotWithoutANameByTheTime(t *testing.T) {
	r := newRig(t)
	before := r.clock
	s := r.take("")
	named, err := time.Parse("2006-01-02-150405", s.Name)
	if err != nil || !named.After(before) || named.After(s.Created) {
		t.Errorf("its name is %q; it was begun after %s and made at %s", s.Name, before, s.Created)
	}
}

func TestCreateRefusesANameBeforeAnythingIsDone(t *testing.T) {
	r := newRig(t)
	taken := r.take("one")
	for _, c := range []struct {
		name string
		want error
	}{{"one", orchestrator.ErrRefused}, {taken.ID, orchestrator.ErrRefused}, {"-rf", orchestrator.ErrUsage}, {"a/b", orchestrator.ErrUsage}} {
		_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: c.name})
		wantError(t, err, c.want)
	}
	r.wantNames("one")
}

func TestCreateNeedsADomain(t *testing.T) {
	_, err := newRig(t).Create(t.Context(), orchestrator.CreateOptions{Domain: "web2"})
	wantError(t, err, orchestrator.ErrNotFound)
}

// createFailures are the places where a create can go wrong before it is committed.
func createFailures() map[string]func(*rig) {
	failures := map[string]func(*rig){
		"metadata": func(r *rig) { r.domain.writeFails = func() error { return errPlanned } },
	}
	for _, p := range []memory.Point{
		memory.AtPrepare, memory.AfterPrepare, memory.AtTake, memory.AfterTake, memory.AtStat,
	} {
		for _, target := range []string{"vda", "vdb"} {
			failures[string(p)+" "+target] = func(r *rig) { r.store.Fail(p, target, errPlanned) }
		}
	}
	return failures
}

func TestCreateIsAllOrNothing(t *testing.T) {
	for name, fail := range createFailures() {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.take("before")
			fail(r)
			_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "one"})
			wantError(t, err, orchestrator.ErrFailed, errPlanned)
			r.wantNames("before")
			r.wantUnheld()
			r.wantContent("vda zero", "vdb zero")
		})
	}
}

func TestCreateIsAllOrNothingForAGroup(t *testing.T) {
	for _, p := range []memory.Point{memory.AtPrepare, memory.AtTake, memory.AfterTake} {
		t.Run(string(p), func(t *testing.T) {
			r := newRig(t, group)
			r.store.Fail(p, "vdb", errPlanned)
			_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Descriptor: useMethod("group", "vda", "vdb")})
			wantError(t, err, orchestrator.ErrFailed, errPlanned)
			r.wantNames()
		})
	}
}

func TestCreateCancelledInTheWindowLeavesNothing(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	r.store.On(memory.AtTake, "vdb", func(context.Context) error {
		cancel()
		return nil
	})
	_, err := r.Create(ctx, orchestrator.CreateOptions{Domain: "web1"})
	wantError(t, err, orchestrator.ErrFailed, context.Canceled)
	r.wantNames()
	r.wantUnheld()
}

func TestCreateGivesUpWhenTheGuestIsHeldTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.store.On(memory.AtTake, "vdb", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
		wantError(t, err, orchestrator.ErrFailed, context.DeadlineExceeded)
		r.wantNames()
	})
}

func TestCreateWithoutAGuardianHoldsNobody(t *testing.T) {
	r := newRig(t)
	r.Guardian = func(context.Context, methods.Domain, *os.File) (orchestrator.GuardianProcess, error) {
		return nil, errPlanned
	}
	r.Orchestrator = orchestrator.New(r.Config)
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
	wantError(t, err, orchestrator.ErrFailed, errPlanned)
	if n := r.guest.Log.Count("freeze") + r.guest.Log.Count("pause"); n > 0 {
		t.Errorf("the guest was held: %q", r.guest.Log.Lines())
	}
}

func TestCreateThatCannotBeUndoneIsLeftToRecover(t *testing.T) {
	for _, target := range []string{"vda", "vdb"} {
		t.Run(target, func(t *testing.T) {
			r := newRig(t)
			r.store.Fail(memory.AfterTake, "vdb", errPlanned)
			r.store.Fail(memory.AtDrop, target, errPlanned)
			_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
			wantError(t, err, orchestrator.ErrUnfinished, errPlanned)
			r.wantUnheld()
			_, err = r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
			wantError(t, err, orchestrator.ErrUnfinished)

			r.store.Fail(memory.AtDrop, target, nil)
			if did := r.recover(); len(did) != 1 || did[0].Domain != "web1" {
				t.Errorf("recover did %+v", did)
			}
			r.wantNames()
		})
	}
}

// TestActThatMayStillComeIsNotUndone: it would come after that.
func TestActThatMayStillComeIsNotUndone(t *testing.T) {
	r := newRig(t)
	r.store.Fail(memory.AfterTake, "vdb", &orchestrator.Problem{Kind: orchestrator.ErrUnfinished, Err: errPlanned})
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
	wantError(t, err, orchestrator.ErrUnfinished, errPlanned)
	r.wantUnheld()
	if made := r.store.Objects(); len(made) != 2 {
		t.Errorf("there is %q", made)
	}
	r.recover()
	r.wantNames()
}

func TestRecoverThatFailsIsUnfinishedStill(t *testing.T) {
	r := newRig(t)
	r.store.Fail(memory.AfterTake, "vdb", errPlanned)
	r.store.Fail(memory.AtDrop, "vda", errPlanned)
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
	wantError(t, err, orchestrator.ErrUnfinished)
	_, err = r.Recover(t.Context(), "web1")
	wantError(t, err, orchestrator.ErrUnfinished, errPlanned)
	r.store.Fail(memory.AtDrop, "vda", nil)
	r.recover()
}

func TestRecoverKeepsASnapshotThatWasComplete(t *testing.T) {
	r := newRig(t)
	r.take("one")
	r.beginJournal(journal.Create, "one")
	r.recover()
	r.wantNames("one")
}

func TestRequireWithoutAnAgentMakesNothing(t *testing.T) {
	for name, set := range map[string]func(*rig){
		"no agent": func(r *rig) { r.guest.Break(quiescetest.Fault{Call: quiescetest.Ping, Err: errPlanned}) },
		"paused":   func(r *rig) { r.guest.SetState(0, true) },
		"freeze fails": func(r *rig) {
			r.guest.Break(quiescetest.Fault{Call: quiescetest.Freeze, Err: errPlanned, Anyway: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			set(r)
			_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Quiesce: quiesce.Require})
			wantError(t, err, quiesce.ErrNotQuiesced)
			if errors.Is(err, orchestrator.ErrUnfinished) {
				t.Errorf("there is something left to do: %v", err)
			}
			r.wantNames()
		})
	}
}

func TestGuestThatWentOnMakesTheSnapshotCrashConsistent(t *testing.T) {
	r := newRig(t)
	goesOn := func(context.Context) error {
		r.guest.SetState(1, false)
		return nil
	}
	r.store.On(memory.AtTake, "vda", goesOn)
	if s := r.take("one"); s.Consistency.Level != "crash" || len(s.Consistency.Skipped) == 0 {
		t.Errorf("it was recorded as %+v", s.Consistency)
	}
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Quiesce: quiesce.Require})
	wantError(t, err, quiesce.ErrNotQuiesced, quiesce.ErrHoldLost)
	r.wantNames("one")
}

func TestGuestThatCannotBeLetGoIsToldAndLeftToTheGuardian(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.guest.Break(quiescetest.Fault{Call: quiescetest.Thaw, Err: errPlanned})
		_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
		wantError(t, err, quiesce.ErrNotReleased)
		if !r.guardian.Responsible() || !r.guardian.Dismissed() {
			t.Error("the guardian is not left alone with it")
		}
		r.wantNames()
		// What the guardian does, once it is alone.
		r.guest.SetState(0, false)
		if err := r.guardian.Released(); err != nil {
			t.Error(err)
		}
		// Nothing was undone under a guest that was held; that is for recover.
		r.guest.Mend()
		if _, err := r.Recover(t.Context(), "web1"); err != nil {
			t.Error(err)
		}
	})
}

// lockLimit is what CLI.md promises.
const lockLimit = 2 * time.Second

func TestSecondOperationIsBusyWithinTwoSeconds(t *testing.T) {
	for name, second := range map[string]func(context.Context, *rig) error{
		"create": func(ctx context.Context, r *rig) error {
			_, err := r.Create(ctx, orchestrator.CreateOptions{Domain: "web1", Name: "two"})
			return err
		},
		"revert": func(ctx context.Context, r *rig) error {
			_, err := r.Revert(ctx, orchestrator.RevertOptions{Domain: "web1", Snapshot: "zero", Force: true})
			return err
		},
		"delete": func(ctx context.Context, r *rig) error {
			_, err := r.Delete(ctx, orchestrator.DeleteOptions{Domain: "web1", Snapshot: "zero"})
			return err
		},
		"recover": func(ctx context.Context, r *rig) error {
			_, err := r.Recover(ctx, "web1")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { busyWhileOneIsCreated(t, second) })
		})
	}
}

func busyWhileOneIsCreated(t *testing.T, second func(context.Context, *rig) error) {
	r := newRig(t)
	r.take("zero")
	entered, leave := make(chan struct{}), make(chan struct{})
	r.store.On(memory.AtPrepare, "vda", func(context.Context) error {
		close(entered)
		<-leave
		return nil
	})
	first := make(chan error)
	go func() {
		_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "one"})
		first <- err
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), lockLimit)
	defer cancel()
	wantError(t, second(ctx, r), orchestrator.ErrBusy)
	if ctx.Err() != nil {
		t.Error("the answer took two seconds")
	}
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
	r.wantState(orchestrator.Running)
	r.wantNames("zero", "one")
}

// TestGuestThatSomebodyElseHoldsIsLeftAlone: nothing is made either, and it is worth another try.
func TestGuestThatSomebodyElseHoldsIsLeftAlone(t *testing.T) {
	r := newRig(t)
	r.guest.SetState(2, false)
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
	wantError(t, err, quiesce.ErrFrozen)
	if errors.Is(err, orchestrator.ErrFailed) || errors.Is(err, orchestrator.ErrUnfinished) {
		t.Errorf("it ended with %v", err)
	}
	if frozen, _ := r.guest.State(); frozen != 2 || r.guest.Log.Count("thaw") > 0 {
		t.Errorf("it was not left alone: %q", r.guest.Log.Lines())
	}
	r.wantNames()
	r.guest.SetState(0, false)
}

// TestAgentsOwnWordsAreKept: as those of SELinux in the guest, which only it knows.
func TestAgentsOwnWordsAreKept(t *testing.T) {
	denied := errors.New("failed to open /mnt/vdb: Permission denied")
	r := newRig(t)
	r.guest.Break(quiescetest.Fault{Call: quiescetest.Freeze, Err: denied})
	s := r.take("one")
	if said := strings.Join(s.Consistency.Skipped, "; "); s.Consistency.Level != "crash" || !strings.Contains(said, denied.Error()) {
		t.Errorf("it was recorded as %+v", s.Consistency)
	}
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Quiesce: quiesce.Require})
	wantError(t, err, quiesce.ErrNotQuiesced, denied)
}

// TestStorageWithoutRoomInTheWindow: the guest goes on before anything is taken back, which may take long.
func TestStorageWithoutRoomInTheWindow(t *testing.T) {
	for name, quiet := range map[string]quiesce.Policy{"frozen": quiesce.Require, "paused": quiesce.No} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.store.Fail(memory.AtTake, "vdb", syscall.ENOSPC)
			undone := 0
			for _, target := range []string{"vda", "vdb"} {
				r.store.On(memory.AtDrop, target, func(context.Context) error {
					undone++
					r.wantUnheld()
					return nil
				})
			}
			_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Quiesce: quiet})
			wantError(t, err, orchestrator.ErrFailed, syscall.ENOSPC)
			if undone != 2 {
				t.Errorf("%d disks were taken back", undone)
			}
			r.wantNames()
		})
	}
}

func TestDisksThatMoveAreTakenLast(t *testing.T) {
	r := newRig(t, moving)
	s, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Descriptor: useMethod("moving", "vda")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"take vdb by memory", "take vda by moving"}, r.stepsLike("take ")); diff != "" {
		t.Error(diff)
	}
	if s.Disks[0].ModifiedDisk == nil || s.Disks[1].ModifiedDisk != nil {
		t.Errorf("the disks are answered as %+v", s.Disks)
	}
}

func TestWhatIsNotWantedIsClosedAsSuch(t *testing.T) {
	r := newRig(t)
	var ended []bool
	r.store.On(memory.AtClose, "vda", func(ctx context.Context) error {
		ended = append(ended, ctx.Err() != nil)
		return nil
	})
	r.take("wanted")
	r.store.Fail(memory.AtTake, "vdb", errPlanned)
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "unwanted"})
	wantError(t, err, orchestrator.ErrFailed, errPlanned)
	if diff := cmp.Diff([]bool{false, true}, ended); diff != "" {
		t.Errorf("the context of Close had ended: %s", diff)
	}
}

func TestNobodyIsToldAnythingInTheWindow(t *testing.T) {
	r := newRig(t)
	told := 0
	r.listen = func(e orchestrator.Event) {
		if r.guest.Held() {
			t.Errorf("%+v is told while the guest is held", e)
		}
		if strings.HasPrefix(e.Step, "take ") && e.Done {
			told++
		}
	}
	r.take("one")
	if told != 2 {
		t.Errorf("%d takes were told of, want 2", told)
	}
}

func TestCreateRefusesADomainWhoseMemoryIsSaved(t *testing.T) {
	r := newRig(t).off()
	r.domain.edit(func(d *fakeDomain) { d.saved = true })
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
	wantError(t, err, orchestrator.ErrRefused)
}

// Who writes nonsense into the metadata while a snapshot is made finds it undone, or left to recover.
func TestMetadataThatCannotBeReadAnyMore(t *testing.T) {
	r := newRig(t)
	r.listen = func(e orchestrator.Event) {
		if e.Step == "prepare vdb by memory" && e.Done {
			r.domain.edit(func(d *fakeDomain) { d.metadata = "<nonsense/>" })
		}
	}
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "one", Quiesce: quiesce.Try})
	wantError(t, err, orchestrator.ErrUnfinished)
	r.listen = nil
	r.domain.edit(func(d *fakeDomain) { d.metadata = "" })
	r.recover()
	r.wantNames()
}
