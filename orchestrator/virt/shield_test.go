package virt

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
)

// shieldedWeb is past libvirt to the domain web1 of the test driver, which has no QEMU.
func shieldedWeb(t *testing.T) shielded {
	t.Helper()
	d, ok := look(t, connected(t), "web1").(*Domain)
	if !ok {
		t.Fatal("it is another's domain")
	}
	return shielded{d}
}

// TestActWhoseTurnComesLateIsNotDone: by then the guest may have been let go.
func TestActWhoseTurnComesLateIsNotDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ctx = trace.With(ctx, func(string, bool) { cancel() })
	err := shieldedWeb(t).wait(ctx, "write", func(*Domain) error {
		t.Error("it was done")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestLookWaitsForWhatIsOnItsWay: what is seen afterwards stays true.
func TestLookWaitsForWhatIsOnItsWay(t *testing.T) {
	s := shieldedWeb(t)
	begun, goOn, seen := make(chan bool), make(chan bool), make(chan error)
	var order []string
	go func() {
		_ = s.wait(t.Context(), "write", func(*Domain) error {
			close(begun)
			<-goOn
			order = append(order, "act")
			return nil
		})
	}()
	<-begun
	go func() {
		_, err := settled(t.Context(), s, func(*Domain) (bool, error) {
			order = append(order, "look")
			return true, nil
		})
		seen <- err
	}()
	close(goOn)
	if err := <-seen; err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(order, []string{"act", "look"}) {
		t.Errorf("it went %q", order)
	}
}

// TestGuestThatGoesOnIsNotStill: its disk must not be taken off the overlay it writes to.
func TestGuestThatGoesOnIsNotStill(t *testing.T) {
	s := shieldedWeb(t)
	if err := s.domain.Start(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	d, err := s.domain.now()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.checkStill(); !errors.Is(err, methods.ErrBlocked) {
		t.Error(err)
	}
	if err := s.domain.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.checkStill(); err != nil {
		t.Error(err)
	}
}
