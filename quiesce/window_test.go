package quiesce_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/quiesce/quiescetest"
)

var errPlanned = errors.New("planned")

// window is a guest, a guardian and the options to hold it with.
type window struct {
	*quiescetest.Guest
	guardian *quiescetest.Guardian
	opts     quiesce.Options
	// ran says that the act was run, heldThen that the guest was held while it was.
	ran, heldThen bool
}

func newWindow() *window {
	g := quiescetest.NewGuest()
	guardian := &quiescetest.Guardian{Log: g.Log}
	return &window{Guest: g, guardian: guardian, opts: quiesce.Options{Policy: quiesce.Try, Guardian: guardian}}
}

func (w *window) open(ctx context.Context, act func(context.Context) error) (quiesce.Report, error) {
	return quiesce.Within(ctx, w.Guest, w.opts, func(ctx context.Context) error {
		w.ran, w.heldThen = true, w.Held()
		return act(ctx)
	})
}

func (w *window) wantLetGo(t *testing.T) {
	t.Helper()
	if w.Held() || w.guardian.Responsible() {
		t.Errorf("the guest is held; calls were %q", w.Log.Lines())
	}
}

func (w *window) wantCalls(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.Log.Lines()); diff != "" {
		t.Errorf("the calls: %s", diff)
	}
}

func nothing(context.Context) error { return nil }

// takes a second.
func second(context.Context) error {
	time.Sleep(time.Second)
	return nil
}

func TestGuestIsHeldWhileTheActRuns(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(*window)
		want  quiesce.Report
		calls []string
	}{
		{"frozen", func(*window) {},
			quiesce.Report{Level: quiesce.Filesystem, Frozen: 2, Thawed: 2, FrozenFor: time.Second},
			[]string{"ping", "status", "guardian: holding freeze", "freeze", "thaw", "guardian: released"}},
		{"paused, as was wanted", func(w *window) { w.opts.Policy = quiesce.No },
			quiesce.Report{Level: quiesce.Crash, PausedFor: time.Second},
			[]string{"guardian: holding pause", "pause", "resume", "guardian: released"}},
		{"paused, the agent being dead", func(w *window) { w.BreakAgent() },
			quiesce.Report{Level: quiesce.Crash, PausedFor: time.Second},
			[]string{"ping", "guardian: holding pause", "pause", "resume", "guardian: released"}},
		{"frozen and paused", func(w *window) { w.opts.AlsoPause = true },
			quiesce.Report{Level: quiesce.Filesystem, Frozen: 2, Thawed: 2, FrozenFor: time.Second, PausedFor: time.Second},
			[]string{"ping", "status", "guardian: holding freeze", "freeze", "guardian: holding pause", "pause", "resume", "thaw", "guardian: released"}},
		{"paused, after the freeze failed half-way", func(w *window) {
			w.Break(quiescetest.Fault{Call: quiescetest.Freeze, Err: errPlanned, Anyway: true})
		},
			quiesce.Report{Level: quiesce.Crash, Thawed: 2, PausedFor: time.Second},
			[]string{"ping", "status", "guardian: holding freeze", "freeze", "thaw", "guardian: holding pause", "pause", "resume", "guardian: released"}},
		{"paused, there being nothing to freeze", func(w *window) { w.Filesystems = 0 },
			quiesce.Report{Level: quiesce.Crash, PausedFor: time.Second},
			[]string{"ping", "status", "guardian: holding freeze", "freeze", "thaw", "status", "guardian: holding pause", "pause", "resume", "guardian: released"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWindow()
				c.set(w)
				got, err := w.open(t.Context(), second)
				if err != nil || !w.heldThen {
					t.Errorf("it ended with %v; held: %v", err, w.heldThen)
				}
				got.Notes, c.want.Held = nil, true
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
				w.wantCalls(t, c.calls...)
				w.wantLetGo(t)
			})
		})
	}
}

func TestGuestThatMustNotBePausedIsNotHeld(t *testing.T) {
	w := newWindow()
	w.BreakAgent()
	w.opts.NoPause = true
	report, err := w.open(t.Context(), nothing)
	if err != nil || w.heldThen || report.Level != quiesce.Crash || len(report.Notes) != 2 {
		t.Errorf("%+v, %v; held: %v", report, err, w.heldThen)
	}
}

func TestRequireRunsNothingUnlessFrozen(t *testing.T) {
	for name, fault := range map[string]quiescetest.Fault{
		"the agent is dead":           {Call: quiescetest.Ping, Err: quiescetest.ErrAgent},
		"the agent hangs":             {Call: quiescetest.Ping},
		"the freeze fails":            {Call: quiescetest.Freeze, Err: errPlanned},
		"the freeze fails half-way":   {Call: quiescetest.Freeze, Err: errPlanned, Anyway: true},
		"the freeze never answers":    {Call: quiescetest.Freeze},
		"the freeze is done too late": {Call: quiescetest.Freeze, Anyway: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWindow()
				w.opts.Policy = quiesce.Require
				w.Break(fault)
				if _, err := w.open(t.Context(), nothing); !errors.Is(err, quiesce.ErrNotQuiesced) {
					t.Errorf("it ended with %v", err)
				}
				if w.ran {
					t.Error("the act was run")
				}
				w.wantLetGo(t)
			})
		})
	}
}

func TestFreezeThatTimesOutIsThawedAndWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow()
		w.Break(quiescetest.Fault{Call: quiescetest.Freeze, Anyway: true})
		report, err := w.open(t.Context(), nothing)
		if err != nil || report.Level != quiesce.Crash || !w.ran {
			t.Errorf("%+v, %v", report, err)
		}
		w.wantCalls(t, "ping", "status", "guardian: holding freeze", "freeze", "guardian: watch", "thaw",
			"guardian: holding pause", "pause", "resume", "guardian: released")
		w.wantLetGo(t)
	})
}

// TestGuestThatSomebodyElseHasFrozenIsLeftAlone: to thaw it would break his window.
func TestGuestThatSomebodyElseHasFrozenIsLeftAlone(t *testing.T) {
	for _, policy := range []quiesce.Policy{quiesce.Try, quiesce.Require} {
		w := newWindow()
		w.opts.Policy = policy
		w.SetState(2, false)
		if _, err := w.open(t.Context(), nothing); !errors.Is(err, quiesce.ErrFrozen) || w.ran {
			t.Errorf("%s: it ended with %v; ran: %v", policy, err, w.ran)
		}
		w.wantCalls(t, "ping", "status")
		if frozen, _ := w.State(); frozen != 2 {
			t.Errorf("%s: %d file systems are frozen", policy, frozen)
		}
	}
}

// liar is a guest whose agent's status is not true.
type liar struct {
	*quiescetest.Guest
	// lies are how often more it says the contrary; deaf says that its thaw does nothing and says so.
	lies int
	deaf bool
}

func (l *liar) Frozen(ctx context.Context) (bool, error) {
	frozen, err := l.Guest.Frozen(ctx)
	if l.lies == 0 {
		return frozen, err
	}
	l.lies--
	return !frozen, err
}

func (l *liar) ThawFilesystems(ctx context.Context) (int, error) {
	if l.deaf {
		return 0, nil
	}
	return l.Guest.ThawFilesystems(ctx)
}

// TestStatusThatLiesIsNoEvidence: what counts is how many file systems were frozen, and how many thawed.
func TestStatusThatLiesIsNoEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		lies int
		deaf bool
		// goesOn: somebody else has thawed the guest in the window.
		goesOn bool
		want   error
	}{
		"frozen, after a thaw by another, for a while": {lies: 3, goesOn: true, want: quiesce.ErrHoldLost},
		"frozen, after a thaw by another, for ever":    {lies: -1, goesOn: true, want: quiesce.ErrNotReleased},
		"thawed, and the thaw did nothing":             {lies: -1, deaf: true, want: quiesce.ErrHoldLost},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWindow()
				g := &liar{Guest: w.Guest}
				report, err := quiesce.Within(t.Context(), g, w.opts, func(context.Context) error {
					g.lies, g.deaf = c.lies, c.deaf
					if c.goesOn {
						g.SetState(0, false)
					}
					return nil
				})
				if !errors.Is(err, c.want) {
					t.Errorf("it ended with %v", err)
				}
				if errors.Is(c.want, quiesce.ErrHoldLost) && report.Level != quiesce.Crash {
					t.Errorf("it is told as %+v", report)
				}
			})
		})
	}
}

// TestAgentsErrorIsInTheNotes: only the guest knows why.
func TestAgentsErrorIsInTheNotes(t *testing.T) {
	denied := errors.New("failed to open /mnt: Permission denied")
	w := newWindow()
	w.Break(quiescetest.Fault{Call: quiescetest.Freeze, Err: denied})
	report, err := w.open(t.Context(), nothing)
	if err != nil || !slices.ContainsFunc(report.Notes, func(n string) bool { return strings.Contains(n, denied.Error()) }) {
		t.Errorf("the notes are %q, %v", report.Notes, err)
	}
}

func TestActThatEndsBadlyLetsTheGuestGo(t *testing.T) {
	for name, act := range map[string]func(context.CancelFunc) error{
		"an error":           func(context.CancelFunc) error { return errPlanned },
		"a cancelled caller": func(cancel context.CancelFunc) error { cancel(); return errPlanned },
	} {
		for _, alsoPause := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				w := newWindow()
				w.opts.AlsoPause = alsoPause
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if _, err := w.open(ctx, func(context.Context) error { return act(cancel) }); !errors.Is(err, errPlanned) {
					t.Errorf("it ended with %v", err)
				}
				w.wantLetGo(t)
			})
		}
	}
}

func TestPanicInTheActLetsTheGuestGo(t *testing.T) {
	w := newWindow()
	defer func() {
		if recover() == nil {
			t.Error("the panic was lost")
		}
		w.wantLetGo(t)
	}()
	_, _ = w.open(t.Context(), func(context.Context) error { panic("planned") })
}

func TestActIsGivenUpAfterTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow()
		w.opts.HoldLimit = 5 * time.Second
		report, err := w.open(t.Context(), func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || report.FrozenFor != 5*time.Second {
			t.Errorf("%+v, %v", report, err)
		}
		w.wantLetGo(t)
	})
}

func TestCallerCancelledBeforeTheWindowHoldsNobody(t *testing.T) {
	w := newWindow()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.open(ctx, nothing); err == nil || w.ran {
		t.Errorf("it ended with %v; ran: %v", err, w.ran)
	}
	w.wantLetGo(t)
}

func TestGuestThatWentOnByItselfIsNoConsistentSnapshot(t *testing.T) {
	w := newWindow()
	report, err := w.open(t.Context(), func(context.Context) error {
		w.SetState(1, false)
		return nil
	})
	if !errors.Is(err, quiesce.ErrHoldLost) || report.Level != quiesce.Crash {
		t.Errorf("%+v, %v", report, err)
	}
	w.wantLetGo(t)
}

func TestThawIsTriedUntilTheAgentComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow()
		w.Break(quiescetest.Fault{Call: quiescetest.Thaw, Err: quiescetest.ErrAgent, Times: 20})
		w.Break(quiescetest.Fault{Call: quiescetest.Thaw, Times: 2})
		report, err := w.open(t.Context(), nothing)
		if err != nil || report.Level != quiesce.Filesystem || report.Thawed != 2 {
			t.Errorf("%+v, %v", report, err)
		}
		if n := w.Log.Count("thaw"); n != 23 {
			t.Errorf("it was thawed %d times", n)
		}
		w.wantLetGo(t)
	})
}

func TestThawWhoseAnswerIsLostIsConfirmedByTheStatus(t *testing.T) {
	w := newWindow()
	w.Break(quiescetest.Fault{Call: quiescetest.Thaw, Err: errPlanned, Times: 1, Anyway: true})
	report, err := w.open(t.Context(), nothing)
	w.wantLetGo(t)
	// The count is lost with the answer, so nobody knows whether it was held all the time.
	if !errors.Is(err, quiesce.ErrHoldLost) || report.Level != quiesce.Crash {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestGuestThatCannotBeLetGoIsLeftToTheGuardian(t *testing.T) {
	for name, c := range map[string]struct {
		fault     quiescetest.Call
		alsoPause bool
	}{
		"not thawed": {quiescetest.Thaw, false}, "not resumed": {quiescetest.Resume, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWindow()
				w.opts.AlsoPause = c.alsoPause
				w.Break(quiescetest.Fault{Call: c.fault, Err: errPlanned})
				start := time.Now()
				_, err := w.open(t.Context(), nothing)
				if !errors.Is(err, quiesce.ErrNotReleased) {
					t.Errorf("it ended with %v", err)
				}
				if took := time.Since(start); took < quiesce.ReleaseTimeout || took > quiesce.ReleaseTimeout+10*time.Second {
					t.Errorf("it took %s", took)
				}
				if !w.guardian.Responsible() {
					t.Error("the guardian believes that the guest goes on")
				}
			})
		})
	}
}

func TestNobodyIsHeldWithoutAGuardian(t *testing.T) {
	for _, policy := range []quiesce.Policy{quiesce.Try, quiesce.No} {
		w := newWindow()
		w.opts.Policy = policy
		w.guardian.Fail(errPlanned)
		if _, err := w.open(t.Context(), nothing); !errors.Is(err, errPlanned) || w.ran {
			t.Errorf("%s: it ended with %v; ran: %v", policy, err, w.ran)
		}
		if calls := w.Log.Lines(); slices.Contains(calls, "freeze") || slices.Contains(calls, "pause") {
			t.Errorf("%s: the calls were %q", policy, calls)
		}
	}
}

func TestPauseThatFailsIsResumed(t *testing.T) {
	w := newWindow()
	w.opts.Policy = quiesce.No
	w.Break(quiescetest.Fault{Call: quiescetest.Pause, Err: errPlanned, Anyway: true})
	if _, err := w.open(t.Context(), nothing); !errors.Is(err, errPlanned) || w.ran {
		t.Errorf("it ended with %v; ran: %v", err, w.ran)
	}
	w.wantLetGo(t)
}

// TestNobodyHoldsAGuestForLong: the limits are caps, whatever was asked for.
func TestNobodyHoldsAGuestForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow()
		w.opts.HoldLimit, w.opts.FreezeTimeout = time.Hour, time.Hour
		start := time.Now()
		_, err := w.open(t.Context(), func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > quiesce.HoldLimit+time.Second {
			t.Errorf("it was held for %v, %v", took, err)
		}
	})
}
