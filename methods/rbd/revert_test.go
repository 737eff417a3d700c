package rbd

import (
	"context"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func TestRevertRollsBack(t *testing.T) {
	s := newStage(t)
	ref := s.taken()
	var told []int64
	req := methods.RevertRequest{To: ref, Disk: s.disk, Progress: func(done, _ int64) { told = append(told, done) }}
	wantError(t, s.method.CheckRevert(t.Context(), req), nil)
	done, err := s.method.Revert(t.Context(), req)
	wantError(t, err, nil)
	if done.How != methods.HowNative || len(s.rolled) != 1 || s.rolled[0] != "ds-aaaa-vda" {
		t.Fatalf("%v, rolled back to %v", done, s.rolled)
	}
	if len(told) != 2 || told[0] != 0 || told[1] != 1000 {
		t.Fatalf("progress %v", told)
	}
}

func TestRevertRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*stage, *methods.RevertRequest)
		want   error
	}{
		"open elsewhere": {func(s *stage, _ *methods.RevertRequest) { s.by.watchers = []client{{"client.1", "a"}} }, methods.ErrBlocked},
		"locked":         {func(s *stage, _ *methods.RevertRequest) { s.by.locks = []client{{"client.1", "a"}} }, methods.ErrBlocked},
		"resized":        {func(s *stage, _ *methods.RevertRequest) { s.found.size = 2000 }, methods.ErrBlocked},
		"no snapshot":    {func(s *stage, _ *methods.RevertRequest) { s.found.snaps = nil }, methods.ErrNotFound},
		"no image":       {func(s *stage, _ *methods.RevertRequest) { s.missing = true }, methods.ErrNotFound},
		"another image": {func(_ *stage, r *methods.RevertRequest) {
			r.Disk.Source.RBD = &methods.RBDImage{Pool: "pool", Image: "other"}
		}, methods.ErrBlocked},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			req := methods.RevertRequest{To: s.taken(), Disk: s.disk}
			c.change(s, &req)
			wantError(t, s.method.CheckRevert(t.Context(), req), c.want)
			_, err := s.method.Revert(t.Context(), req)
			wantError(t, err, c.want)
			if len(s.rolled) > 0 {
				t.Fatal("it was rolled back")
			}
		})
	}
}

func TestRevertGivenUpWhileLookingDoesNotStart(t *testing.T) {
	s := newStage(t)
	req := methods.RevertRequest{To: s.taken(), Disk: s.disk}
	ctx, cancel := context.WithCancel(t.Context())
	s.onUsers = cancel
	_, err := s.method.Revert(ctx, req)
	wantError(t, err, context.Canceled)
	if len(s.rolled) > 0 {
		t.Fatal("it was rolled back")
	}
}
