package shield_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/shield"
)

// scene is a domain with two disks that come off their overlays again and one that stays.
type scene struct {
	t *testing.T
	*machine
	shield *shield.Shield
	// anew: somebody has defined the domain anew, so that a start would be from the disks themselves.
	anew bool
	// instant is what the disks had when they were put onto the overlays.
	instant uint64
}

func newScene(t *testing.T, left int, half bool) *scene {
	m := &machine{disks: map[string]*fakeDisk{}, active: true, left: left, half: half}
	s := &scene{t: t, machine: m, shield: &shield.Shield{Domain: domain{nodes{m}}, Files: folder{m}}}
	for _, target := range []string{"vda", "vdb", "vdc"} {
		stays := target == "vdc"
		// The method that puts a disk onto an overlay for good has made it.
		m.disks[target] = &fakeDisk{stays: stays, file: stays}
		s.shield.Overlays = append(s.shield.Overlays, shield.Overlay{
			Disk: methods.Disk{Target: target}, Node: target, Stays: stays,
			Defined: target + " on base", Raised: target + " on overlay", Settled: target + " on overlay",
		})
	}
	m.write()
	return s
}

// run is a creation: its disks are still between the two halves.
func (s *scene) run(handOver bool) error {
	ctx := s.t.Context()
	if err := s.shield.Ready(ctx); err != nil {
		return err
	}
	if err := s.shield.Raise(ctx); err != nil {
		return err
	}
	s.instant = s.disks["vda"].base
	for target, d := range s.disks {
		if d.base != s.instant {
			s.t.Errorf("%s is of another instant", target)
		}
	}
	return s.lower(handOver)
}

func (s *scene) lower(handOver bool) error {
	o := shield.LowerOptions{Active: s.active, Pause: s.pause(s.shield)}
	if handOver {
		o.HandOver = s.handOver
	}
	return s.shield.Lower(s.t.Context(), o)
}

// want: everything that the guest was told is durable is there, for it and for a start of the domain.
func (s *scene) want(where string) {
	s.t.Helper()
	for target, d := range s.disks {
		place := d.place
		// One that stands still reads nothing.
		if !s.active || s.paused {
			place = starts(d.raised)
		}
		// The power may go at any time.
		if got := d.seen(starts(d.synced)); got != s.all && !s.anew {
			s.t.Errorf("%s: %s has %x after a loss of power, and not %x: a write is lost", where, target, got, s.all)
		}
		if got := d.seen(place); got != s.all {
			s.t.Errorf("%s: %s has %x and not %x: a write is lost", where, target, got, s.all)
		}
	}
}

// starts is where a disk is after the start of a domain whose definition names the overlay, or not.
func starts(raised bool) shield.Place {
	if raised {
		return shield.OnKnown
	}
	return shield.OnBase
}

// gone: nothing is left of the shield.
func (s *scene) gone(where string, stays bool) {
	s.t.Helper()
	for target, d := range s.disks {
		if d.stays && stays {
			if s.active && d.place != shield.OnKnown || !d.raised {
				s.t.Errorf("%s: libvirt does not know the overlay of %s", where, target)
			}
			continue
		}
		if d.place != shield.OnBase || d.raised || d.node || d.file && !d.stays {
			s.t.Errorf("%s: %s is left: %+v", where, target, *d)
		}
	}
	if s.anchor || s.anchored {
		s.t.Errorf("%s: the anchor is left", where)
	}
}

func TestShieldComesAndGoes(t *testing.T) {
	s := newScene(t, 1<<30, false)
	if err := s.run(true); err != nil {
		t.Fatal(err)
	}
	s.want("at the end")
	s.gone("at the end", true)
	if s.instant == s.all {
		t.Error("the guest did not go on")
	}
}

// TestGuestThatWritesQuickerIsPausedAgain: until the commits get to their end, and never for long at once.
func TestGuestThatWritesQuickerIsPausedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, 1<<30, false)
		s.slow = 2000
		if err := s.run(true); err != nil {
			t.Fatal(err)
		}
		s.want("at the end")
		s.gone("at the end", true)
		if n := len(slices.DeleteFunc(s.acts, func(act string) bool { return act != "pause" })); n < 2 {
			t.Errorf("it was paused %d times", n)
		}
	})
}

// fates are what may happen to the domain after the program has died, and before and while somebody recovers.
var fates = map[string]func(*scene){
	"goes on": func(s *scene) { s.guardian() },
	"is paused when recovered": func(s *scene) {
		s.guardian()
		s.paused = true
		if err := s.shield.Align(s.t.Context()); err != nil {
			s.t.Error(err)
		}
		s.paused = false
	},
	"loses power":              func(s *scene) { s.powerLoss() },
	"loses power and starts":   func(s *scene) { s.powerLoss(); s.want("after the start"); s.start(); s.write() },
	"goes on and loses power":  func(s *scene) { s.guardian(); s.powerLoss() },
	"is shut down and started": func(s *scene) { s.guardian(); s.powerLoss(); s.start(); s.write() },
	"is saved":                 func(s *scene) { s.save(); s.guardian() },
	"is forgotten by libvirt": func(s *scene) {
		for _, d := range s.disks {
			d.raised = d.synced
		}
		s.powerLoss()
	},
	"is defined anew and loses power": func(s *scene) {
		s.guardian()
		for _, d := range s.disks {
			d.raised, d.synced = false, false
		}
		s.anew = true
		s.powerLoss()
	},
}

// guardian lets the guest go that was paused.
func (s *scene) guardian() {
	if s.paused {
		if err := s.shield.Align(s.t.Context()); err != nil {
			s.t.Error(err)
		}
		s.paused = false
	}
	// What was on its way comes after the first.
	s.write()
	s.write()
}

// TestNothingIsLostWhereverItDies: killed at every act, before and after it, with every fate of the domain, and recovered
// by somebody who is killed too.
func TestNothingIsLostWhereverItDies(t *testing.T) {
	synctest.Test(t, nothingIsLost)
}

func nothingIsLost(t *testing.T) {
	whole := newScene(t, 1<<30, false)
	if err := whole.run(true); err != nil {
		t.Fatal(err)
	}
	for fate := range fates {
		for at := range whole.acts {
			for _, half := range []bool{false, true} {
				name := fmt.Sprintf("%s after %d %s, done %v", fate, at, whole.acts[at], half)
				recovered := dieAndRecover(t, name, fate, at, half)
				for again := range recovered {
					dieTwice(t, name, fate, at, half, again)
				}
				if t.Failed() {
					t.FailNow()
				}
			}
		}
	}
}

// dieAndRecover gives how many acts the recovery took.
func dieAndRecover(t *testing.T, name, fate string, at int, half bool) int {
	s := dead(t, name, fate, at, half)
	before := len(s.acts)
	if err := s.lower(false); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	s.want(name)
	s.gone(name, false)
	return len(s.acts) - before
}

func dieTwice(t *testing.T, name, fate string, at int, half bool, again int) {
	s := dead(t, name, fate, at, half)
	s.left = again
	if err := s.lower(false); !errors.Is(err, errKilled) {
		t.Errorf("%s: the second was not killed: %v", name, err)
	}
	s.revive()
	s.guardian()
	if err := s.lower(false); err != nil {
		t.Errorf("%s, killed again at %d: %v", name, again, err)
	}
	s.want(name + ", killed again")
	s.gone(name+", killed again", false)
}

// dead is a scene whose program has died, and whose domain has met its fate.
func dead(t *testing.T, name, fate string, at int, half bool) *scene {
	t.Helper()
	s := newScene(t, at, half)
	if err := s.run(true); !errors.Is(err, errKilled) && !half {
		t.Fatalf("%s: it was not killed: %v", name, err)
	}
	s.want(name + ", at its death")
	s.revive()
	fates[fate](s)
	if !s.anew {
		s.want(name + ", after its fate")
	}
	return s
}
