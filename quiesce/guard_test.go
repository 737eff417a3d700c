package quiesce_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/quiesce/quiescetest"
)

// post is a guardian at work on a guest, in a bubble of fake time.
type post struct {
	t     *testing.T
	guest *quiescetest.Guest
	pipe  *io.PipeWriter
	ended chan error
	// deaf is how many times more the guest cannot be reached.
	deaf int
	// stop ends the holder.
	stop func() error
	// freed is how often it was said that the guest goes on.
	freed int
}

func startGuard(t *testing.T) *post {
	in, pipe := io.Pipe()
	p := &post{t: t, guest: quiescetest.NewGuest(), pipe: pipe, ended: make(chan error, 1)}
	p.stop = func() error { return errPlanned }
	stop := func() error { return p.stop() }
	go func() {
		p.ended <- quiesce.Guard(t.Context(), quiesce.Post{In: in, Dial: p.dial, Stop: stop, Free: p.goOn})
	}()
	return p
}

func (p *post) goOn() { p.freed++ }

func (p *post) dial(context.Context) (quiesce.Guest, error) {
	if p.deaf != 0 {
		p.deaf--
		return nil, errPlanned
	}
	return p.guest, nil
}

// tell says lines to the guardian and waits until it has heard them.
func (p *post) tell(lines ...string) {
	p.t.Helper()
	for _, line := range lines {
		if _, err := fmt.Fprintln(p.pipe, line); err != nil {
			p.t.Fatal(err)
		}
	}
	synctest.Wait()
}

// leave ends the pipe, as the death of the holder does, and gives what the guardian ended with.
func (p *post) leave() error {
	p.t.Helper()
	if err := p.pipe.Close(); err != nil {
		p.t.Fatal(err)
	}
	return <-p.ended
}

func (p *post) wantCalls(want ...string) {
	p.t.Helper()
	if diff := cmp.Diff(want, p.guest.Log.Lines()); diff != "" {
		p.t.Errorf("the calls: %s", diff)
	}
}

func TestGuardianLetsGoWhatItWasToldOf(t *testing.T) {
	for _, c := range []struct {
		name   string
		lines  []string
		frozen int
		paused bool
		calls  []string
	}{
		{"nothing was held", nil, 0, false, nil},
		{"frozen", []string{"freeze"}, 2, false, []string{"thaw"}},
		{"told of a freeze that never came", []string{"freeze"}, 0, false, []string{"thaw", "status"}},
		{"paused", []string{"pause"}, 0, true, []string{"resume"}},
		{"frozen and paused", []string{"freeze", "pause"}, 2, true, []string{"resume", "thaw"}},
		{"released", []string{"freeze", "pause", "released"}, 0, false, nil},
		{"held again", []string{"freeze", "released", "pause"}, 0, true, []string{"resume"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startGuard(t)
				p.tell(c.lines...)
				p.guest.SetState(c.frozen, c.paused)
				if err := p.leave(); err != nil {
					t.Error(err)
				}
				p.wantCalls(c.calls...)
				if p.guest.Held() {
					t.Error("the guest is held")
				}
			})
		})
	}
}

func TestGuardianLeavesAGuestAloneThatSomebodyElseHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startGuard(t)
		p.tell("freeze", "released")
		p.guest.SetState(2, true)
		if err := p.leave(); err != nil {
			t.Error(err)
		}
		p.wantCalls()
	})
}

func TestGuardianTriesUntilTheGuestCanBeReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startGuard(t)
		p.tell("freeze")
		p.guest.SetState(2, false)
		p.deaf = 10
		p.guest.Break(quiescetest.Fault{Call: quiescetest.Thaw, Err: quiescetest.ErrAgent, Times: 5})
		if err := p.leave(); err != nil || p.guest.Held() {
			t.Errorf("it ended with %v; held: %v", err, p.guest.Held())
		}
	})
}

func TestGuardianSaysWhenItCouldNotLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startGuard(t)
		p.tell("freeze")
		p.deaf = -1
		if err := p.leave(); !errors.Is(err, quiesce.ErrNotReleased) {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestGuardianEndsAHoldThatLastsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startGuard(t)
		p.tell("freeze", "pause")
		p.guest.SetState(2, true)
		time.Sleep(quiesce.HoldLimit + quiesce.MaxFreezeTimeout - time.Second)
		synctest.Wait()
		p.wantCalls()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		p.wantCalls("resume", "thaw")
		if err := p.leave(); err != nil {
			t.Error(err)
		}
		p.wantCalls("resume", "thaw")
	})
}

// A holder that stands still is ended first. Where it is not gone at once, the guest does not wait for it.
func TestGuardianEndsTheHolderOfAHoldThatLastsTooLong(t *testing.T) {
	for name, dies := range map[string]bool{"and it is gone": true, "and it is not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startGuard(t)
				p.stop = func() error {
					p.wantCalls()
					if dies {
						return p.pipe.Close()
					}
					return nil
				}
				p.tell("pause")
				p.guest.SetState(0, true)
				time.Sleep(quiesce.HoldLimit + quiesce.MaxFreezeTimeout + 3*time.Second)
				synctest.Wait()
				p.wantCalls("resume")
				if err := p.leave(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestGuardianForgetsTheLimitOfAHoldThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startGuard(t)
		p.tell("freeze", "released")
		time.Sleep(time.Hour)
		p.tell("freeze")
		time.Sleep(time.Minute)
		synctest.Wait()
		p.wantCalls()
		if err := p.leave(); err != nil {
			t.Error(err)
		}
	})
}

func TestGuardianWatchesForALateFreeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startGuard(t)
		p.tell("freeze", "watch", "released")
		time.AfterFunc(40*time.Second, func() { p.guest.SetState(2, false) })
		start := time.Now()
		if err := p.leave(); err != nil || p.guest.Held() {
			t.Errorf("it ended with %v; held: %v", err, p.guest.Held())
		}
		if watched := time.Since(start); watched < time.Minute {
			t.Errorf("it watched for %s only", watched)
		}
		if p.freed != 1 {
			t.Errorf("it said %d times that the guest goes on", p.freed)
		}
	})
}

func TestGuardianThatWatchesIsNotStoppedByAnAgentThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startGuard(t)
		p.tell("freeze", "watch", "released")
		p.guest.Break(quiescetest.Fault{Call: quiescetest.Thaw, Times: 1})
		time.AfterFunc(20*time.Second, func() { p.guest.SetState(2, false) })
		ended := make(chan error)
		go func() { ended <- p.leave() }()
		select {
		case err := <-ended:
			if err != nil || p.guest.Held() {
				t.Errorf("it ended with %v; held: %v", err, p.guest.Held())
			}
		case <-time.After(10 * time.Minute):
			t.Error("it hangs")
		}
	})
}

func TestGuardianThatCouldNotLetGoDoesNotSayThatTheGuestGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startGuard(t)
		p.tell("freeze", "watch")
		p.deaf = -1
		if err := p.leave(); err == nil || p.freed > 0 {
			t.Errorf("it ended with %v and said %d times that the guest goes on", err, p.freed)
		}
	})
}

func TestGuardianOfAGuestThatIsGoneHasNothingToDo(t *testing.T) {
	for _, lines := range [][]string{{"freeze", "pause"}, {"freeze", "watch", "released"}} {
		synctest.Test(t, func(t *testing.T) {
			p := startGuard(t)
			p.tell(lines...)
			p.guest.Break(quiescetest.Fault{Call: quiescetest.Thaw, Err: quiesce.ErrGone})
			p.guest.Break(quiescetest.Fault{Call: quiescetest.Resume, Err: quiesce.ErrGone})
			start := time.Now()
			if err := p.leave(); err != nil || time.Since(start) > time.Minute/2 {
				t.Errorf("it ended with %v after %s", err, time.Since(start))
			}
		})
	}
}
