package rbd

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
)

func TestPlanNamesTheSnapshot(t *testing.T) {
	s := newStage(t)
	ref := s.plan(t.Context())
	if ref.Origin != "pool/ns/disk" || ref.Name != "pool/ns/disk@ds-aaaa-vda" || ref.Size != 1000 {
		t.Fatalf("%+v", ref)
	}
	if again := s.plan(t.Context()); again.Name != ref.Name {
		t.Fatal("another answer to the same request")
	}
	if len(s.created) > 0 {
		t.Fatal("planning made a snapshot")
	}
}

type strictSpec struct{ empty bool }

func (s strictSpec) Decode(any) error {
	if s.empty {
		return nil
	}
	return errors.New("unknown element <size>")
}

func TestPlanRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*stage, *methods.PlanRequest)
		want   error
	}{
		"missing image":  {func(s *stage, _ *methods.PlanRequest) { s.missing = true }, methods.ErrNotFound},
		"taken name":     {func(s *stage, _ *methods.PlanRequest) { s.found.snaps = []snapshot{{1, "ds-aaaa-vda", 1}} }, methods.ErrExists},
		"foreign lock":   {func(s *stage, _ *methods.PlanRequest) { s.by.locks = []client{{"client.1", "a"}} }, methods.ErrBlocked},
		"file":           {func(_ *stage, r *methods.PlanRequest) { r.Disk.Source = methods.Source{File: "/a"} }, methods.ErrUnsupported},
		"other device":   {func(_ *stage, r *methods.PlanRequest) { r.Disk.Source = methods.Source{Dev: "/dev/null"} }, methods.ErrUnsupported},
		"unmapped image": {func(_ *stage, r *methods.PlanRequest) { r.Disk.Source = methods.Source{Dev: "/dev/rbd7"} }, methods.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			req := methods.PlanRequest{Disk: s.disk, ID: "aaaa", Spec: strictSpec{empty: true}}
			c.change(s, &req)
			_, err := s.method.Plan(t.Context(), req)
			wantError(t, err, c.want)
		})
	}
}

func TestPlanRefusesNames(t *testing.T) {
	s := newStage(t)
	for _, image := range []methods.RBDImage{
		{Pool: "p"}, {Image: "i"}, {Pool: "p/q", Image: "i"}, {Pool: "p", Image: "i@s"}, {Pool: "p", Image: "i\n"},
	} {
		disk := methods.Disk{Target: "vda", Source: methods.Source{RBD: &image}}
		if _, err := s.method.Plan(t.Context(), methods.PlanRequest{Disk: disk, ID: "aaaa"}); err == nil {
			t.Errorf("%q was taken", image)
		}
	}
	for _, id := range []string{"", "a", "-rf0", "aa/aa"} {
		if _, err := s.method.Plan(t.Context(), methods.PlanRequest{Disk: s.disk, ID: id}); err == nil {
			t.Errorf("id %q was taken", id)
		}
	}
}

func TestPlanTakesNoOptions(t *testing.T) {
	s := newStage(t)
	if _, err := s.method.Plan(t.Context(), methods.PlanRequest{Disk: s.disk, ID: "aaaa", Spec: strictSpec{}}); err == nil {
		t.Fatal("an unknown option was taken")
	}
}

func TestTakeWaitsForTheDeadInPrepare(t *testing.T) {
	s := newStage(t)
	dead := []client{{"client.9", "10.0.0.1:0/1"}}
	s.silence = [][]client{dead, dead}
	ready, err := s.method.Prepare(t.Context(), []methods.Ref{s.plan(t.Context())})
	wantError(t, err, nil)
	if len(s.silence) > 0 || len(s.created) > 0 {
		t.Fatal("prepare did not wait, or did not wait for Take")
	}
	wantError(t, ready.Take(t.Context()), nil)
	wantError(t, ready.Close(t.Context()), nil)
}

func TestPrepareNamesWhoDoesNotAnswer(t *testing.T) {
	s := newStage(t)
	for range 100 {
		s.silence = append(s.silence, []client{{"client.9", "10.0.0.1:0/1"}})
	}
	_, err := s.method.Prepare(t.Context(), []methods.Ref{s.plan(t.Context())})
	wantError(t, err, methods.ErrBlocked)
	if !strings.Contains(err.Error(), "client.9 at 10.0.0.1:0/1") {
		t.Fatal(err)
	}
}

func TestTakeGivenUpIsTakenBack(t *testing.T) {
	s := newStage(t)
	s.block = make(chan struct{})
	ready, err := s.method.Prepare(t.Context(), []methods.Ref{s.plan(t.Context())})
	wantError(t, err, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	wantError(t, ready.Take(ctx), context.DeadlineExceeded)
	close(s.block)
	wantError(t, ready.Close(t.Context()), nil)
	if len(s.created) != 1 || len(s.removed) != 1 {
		t.Fatalf("created %v, removed %v", s.created, s.removed)
	}
}

func TestTakeTwice(t *testing.T) {
	s := newStage(t)
	ref := s.taken()
	wantError(t, s.method.Take(t.Context(), ref), methods.ErrExists)
}

func TestNewDropsWhatSteersLibrados(t *testing.T) {
	t.Setenv("CEPH_ARGS", "--id other")
	New()
	if _, there := os.LookupEnv("CEPH_ARGS"); there {
		t.Fatal("CEPH_ARGS is still there")
	}
}

func (strictSpec) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }
