package orchestrator_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/shield"
	"github.com/domsnap/domsnap/quiesce/quiescetest"
)

// below is memory as a storage under QEMU.
type below struct{ *memory.Method }

func (m below) Traits() methods.Traits {
	t := m.Method.Traits()
	t.BelowQEMU = true
	return t
}

// fakeShield is a QEMU that does what it is told. What it is told goes to the guest's log, by words.
type fakeShield struct {
	rig *rig
	// raised are the targets on overlays, defined those whose definition names them, jobs those being committed.
	raised, defined, jobs map[string]bool
	// fails are the calls that fail.
	fails map[string]error
}

func (s *fakeShield) call(name string) error {
	s.rig.note(name)
	return s.fails[name]
}

func (s *fakeShield) Survey(_ context.Context, targets []string) ([]shield.Node, error) {
	nodes := make([]shield.Node, len(targets))
	for i, target := range targets {
		nodes[i] = shield.Node{Target: target, Name: "node-" + target, Driver: "raw", Size: 1 << 20}
	}
	return nodes, s.fails["survey"]
}

func (s *fakeShield) Add(context.Context, shield.Overlay) error    { return s.call("add") }
func (s *fakeShield) Remove(context.Context, shield.Overlay) error { return s.call("remove") }
func (s *fakeShield) Detach(context.Context, shield.Overlay) error { return errors.New("none stays") }

func (s *fakeShield) Switch(_ context.Context, all []shield.Overlay) error {
	err := s.call("switch")
	for _, o := range all {
		s.raised[o.Disk.Target] = err == nil
	}
	return err
}

func (s *fakeShield) Places(_ context.Context, all []shield.Overlay) ([]shield.Place, error) {
	places := make([]shield.Place, len(all))
	for i, o := range all {
		if s.raised[o.Disk.Target] {
			places[i] = shield.OnOverlay
		}
	}
	return places, nil
}

func (s *fakeShield) Commit(_ context.Context, o shield.Overlay) error {
	s.jobs[o.Node] = true
	return s.call("commit")
}

func (s *fakeShield) Jobs(context.Context) (map[string]shield.Job, error) {
	jobs := map[string]shield.Job{}
	for node := range s.jobs {
		jobs[node] = shield.Job{Ready: true}
	}
	return jobs, nil
}

func (s *fakeShield) Pivot(context.Context, []shield.Overlay) error {
	err := s.call("pivot")
	if err == nil {
		clear(s.raised)
		clear(s.jobs)
	}
	return err
}

func (s *fakeShield) Cancel(context.Context, []shield.Overlay) error {
	clear(s.jobs)
	return s.call("cancel")
}

func (s *fakeShield) CommitKnown(context.Context, shield.Overlay) error { return nil }

func (s *fakeShield) Close(context.Context, shield.Overlay) error {
	return errors.New("none is detached")
}
func (s *fakeShield) Forbid(context.Context, string) error { return s.call("forbid") }
func (s *fakeShield) Allow(context.Context) error          { return s.call("allow") }

func (s *fakeShield) Define(_ context.Context, elements []string) error {
	for _, element := range elements {
		target := strings.Split(element, `dev="`)[1][:3]
		s.defined[target] = strings.Contains(element, "qcow2")
	}
	return s.call("define")
}

func (s *fakeShield) DefinedOn(_ context.Context, all []shield.Overlay) ([]shield.Overlay, error) {
	return slices.DeleteFunc(slices.Clone(all), func(o shield.Overlay) bool { return !s.defined[o.Disk.Target] }), nil
}

// note puts a line into the log that guest and guardian share.
func (r *rig) note(line string) { r.guest.Log.Note(line) }

// newShieldRig has two disks on a storage under QEMU.
func newShieldRig(t *testing.T) (*rig, *fakeShield) {
	t.Helper()
	r := newRig(t)
	s := &fakeShield{rig: r, raised: map[string]bool{}, defined: map[string]bool{}, jobs: map[string]bool{}, fails: map[string]error{}}
	r.domain.shield = s
	r.Orchestrator = r.orchestrator(methods.Set{below{memory.New(r.store, memory.Options{})}})
	r.Run = command.Host{}
	r.listen = func(e orchestrator.Event) {
		if e.Done && strings.HasPrefix(e.Step, "take ") {
			r.note(e.Step)
		}
	}
	t.Cleanup(func() {
		left, err := filepath.Glob(filepath.Join(r.dir, "shield", "*", "*"))
		if err != nil || len(left) > 0 || len(s.raised)+len(s.jobs) > 0 || s.defined["vda"] || s.defined["vdb"] {
			t.Errorf("of the shield are left: %q, %+v, %v", left, s, err)
		}
	})
	return r, s
}

// TestGuestGoesOnBeforeTheTakes: it is held for the switch alone, and once more for the end.
func TestGuestGoesOnBeforeTheTakes(t *testing.T) {
	r, _ := newShieldRig(t)
	c := r.take("one").Consistency
	want := []string{
		"add", "add", "forbid", "define", "ping", "status", "guardian: holding freeze", "freeze", "switch", "thaw", "guardian: released",
		"take vda by memory", "take vdb by memory", "commit", "commit", "guardian: holding pause", "pause", "pivot",
		"resume", "guardian: released", "define", "remove", "remove", "allow", "guardian: dismiss",
	}
	got := r.guest.Log.Lines()
	slices.Sort(got[slices.Index(got, "guardian: released")+1 : slices.Index(got, "commit")])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c.HeldBy == nil || *c.HeldBy != "shield" || c.Level != "filesystem" {
		t.Errorf("%+v", c)
	}
}

func TestGuestIsHeldWhereItCannotBeShielded(t *testing.T) {
	for _, c := range []struct {
		call string
		err  error
	}{
		{"survey", methods.Blockedf("a job runs")}, {"survey", methods.Unsupportedf("a filter")}, {"add", methods.Blockedf("QEMU may not open it")},
		{"forbid", methods.Blockedf("QEMU does not know the format")},
	} {
		r, s := newShieldRig(t)
		s.fails[c.call] = c.err
		if held := r.take("one").Consistency.HeldBy; held == nil || *held != "hold" {
			t.Errorf("%s: held by %v", c.call, held)
		}
		_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "two", Way: orchestrator.Shield})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: who asked for a shield got %v", c.call, err)
		}
	}
}

func TestNobodyIsShieldedForNothing(t *testing.T) {
	for name, set := range map[string]func(*rig){
		"off":    func(r *rig) { r.off() },
		"paused": func(r *rig) { r.guest.SetState(0, true) },
		"method": func(r *rig) { r.Orchestrator = r.orchestrator(methods.Set{memory.New(r.store, memory.Options{})}) },
	} {
		r, _ := newShieldRig(t)
		set(r)
		_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Way: orchestrator.Shield})
		if !errors.Is(err, orchestrator.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTransactionThatFailsIsUndone: nothing has moved, and the guest goes on.
func TestTransactionThatFailsIsUndone(t *testing.T) {
	r, s := newShieldRig(t)
	s.fails["switch"] = errPlanned
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "one"})
	if !errors.Is(err, errPlanned) || !errors.Is(err, orchestrator.ErrFailed) {
		t.Error(err)
	}
	clear(s.raised)
	r.wantNames()
}

// TestShieldThatCannotBeTakenAwayIsLeftToRecover: the guest goes on, with a definition that is true.
func TestShieldThatCannotBeTakenAwayIsLeftToRecover(t *testing.T) {
	r, s := newShieldRig(t)
	s.fails["pivot"] = errPlanned
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "one"})
	if !errors.Is(err, errPlanned) || !errors.Is(err, orchestrator.ErrUnfinished) {
		t.Error(err)
	}
	lines := r.guest.Log.Lines()
	if pause, cancel := slices.Index(lines, "pause"), slices.Index(lines, "cancel"); cancel < pause || !s.defined["vda"] {
		t.Errorf("the definition was not looked at before the guest went on: %q", lines)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "shield", "libvirt-"+r.domain.uuid)); err != nil {
		t.Error(err)
	}
	delete(s.fails, "pivot")
	if did := r.recover(); len(did) != 1 {
		t.Errorf("recover did %+v", did)
	}
	r.wantNames()
}

// TestGuestWithoutAnAgentIsNotPausedForATransaction: that is of one instant by itself.
func TestGuestWithoutAnAgentIsNotPausedForATransaction(t *testing.T) {
	r, _ := newShieldRig(t)
	r.guest.Break(quiescetest.Fault{Call: quiescetest.Ping, Err: errPlanned})
	if c := r.take("one").Consistency; c.Level != "crash" || c.HeldBy == nil || *c.HeldBy != "shield" {
		t.Errorf("%+v", c)
	}
	lines := r.guest.Log.Lines()
	if slices.Index(lines, "pause") < slices.Index(lines, "take vda by memory") {
		t.Errorf("%q", lines)
	}
}

// TestGuestThatIsPausedBehindTheShield goes on where QEMU has stopped it, and else when who has paused it likes.
func TestGuestThatIsPausedBehindTheShield(t *testing.T) {
	for _, stopped := range []bool{true, false} {
		r, _ := newShieldRig(t)
		r.listen = func(e orchestrator.Event) {
			if e.Done && e.Step == "take vdb by memory" {
				r.guest.SetState(0, true)
				r.domain.edit(func(d *fakeDomain) { d.stopped = stopped })
			}
		}
		r.take("one")
		if _, paused := r.guest.State(); paused == stopped {
			t.Errorf("stopped by QEMU: %v, paused in the end: %v", stopped, paused)
		}
		r.guest.SetState(0, false)
	}
}

// TestGuestIsHeldForADiskThatAnOverlayWouldNotBeLike, and the plan says so.
func TestGuestIsHeldForADiskThatAnOverlayWouldNotBeLike(t *testing.T) {
	for _, inside := range []string{"<encryption format='luks'/>", "<slices><slice type='storage' offset='512' size='1024'/></slices>"} {
		r, _ := newShieldRig(t)
		r.domain.edit(func(d *fakeDomain) {
			d.disks[0].kind, d.disks[0].source = "file", "<source file='"+d.disks[0].file+"'>"+inside+"</source>"
		})
		plan, err := r.PlanCreate(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "one"})
		if err != nil || !strings.Contains(plan.Hold.Why, "no shield: disk vda") {
			t.Errorf("%s: %+v, %v", inside, plan.Hold, err)
		}
	}
}
