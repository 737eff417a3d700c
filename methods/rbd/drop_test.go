package rbd

import (
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func TestDropTwice(t *testing.T) {
	s := newStage(t)
	ref := s.taken()
	for range 2 {
		wantError(t, s.method.Drop(t.Context(), methods.DropRequest{Ref: ref}), nil)
	}
	if len(s.removed) != 1 {
		t.Fatalf("removed %v", s.removed)
	}
	_, err := s.method.Stat(t.Context(), ref)
	wantError(t, err, methods.ErrNotFound)
}

func TestDropOfAnAbandonedSnapshotOutlastsWhoMakesIt(t *testing.T) {
	s := newStage(t)
	ref := s.taken()
	s.found.snaps, s.created, s.by.writing = nil, nil, true
	wantError(t, s.method.Drop(t.Context(), methods.DropRequest{Ref: ref, Stage: methods.Abandoned}), nil)
	if len(s.created) != 1 || len(s.removed) != 1 {
		t.Errorf("created %v, removed %v", s.created, s.removed)
	}
}

func TestDropOfAnAbandonedSnapshotAsksNobodyWhoIsNotThere(t *testing.T) {
	for name, set := range map[string]func(*stage){
		"there already": func(s *stage) { s.by.writing = true },
		"nobody writes": func(s *stage) { s.found.snaps = nil },
		"no image":      func(s *stage) { s.missing = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			ref := s.taken()
			s.created = nil
			set(s)
			wantError(t, s.method.Drop(t.Context(), methods.DropRequest{Ref: ref, Stage: methods.Abandoned}), nil)
			if len(s.created) > 0 {
				t.Errorf("created %v", s.created)
			}
		})
	}
}

func TestDropOfMissingImage(t *testing.T) {
	s := newStage(t)
	ref := s.taken()
	s.missing = true
	wantError(t, s.method.CheckDrop(t.Context(), methods.DropRequest{Ref: ref}), nil)
	wantError(t, s.method.Drop(t.Context(), methods.DropRequest{Ref: ref}), nil)
}

func TestDropKeepsWhatClonesNeed(t *testing.T) {
	s := newStage(t)
	ref := s.taken()
	req := methods.DropRequest{Ref: ref}
	wantError(t, s.method.CheckDrop(t.Context(), req), nil)
	s.needed = []string{"clone pool/child"}
	wantError(t, s.method.CheckDrop(t.Context(), req), methods.ErrBlocked)
	wantError(t, s.method.Drop(t.Context(), methods.DropRequest{Ref: ref}), methods.ErrBlocked)
	if len(s.removed) > 0 {
		t.Fatal("it was removed")
	}
}

func TestTamperedRecordsAreRefused(t *testing.T) {
	for name, tamper := range map[string]func(*methods.Ref){
		"name":     func(r *methods.Ref) { r.Name = "pool/ns/disk@mine" },
		"origin":   func(r *methods.Ref) { r.Origin = "pool/other" },
		"snapshot": func(r *methods.Ref) { r.Snapshot = "bbbb" },
		"nothing":  func(r *methods.Ref) { r.Origin, r.Name = "", "@ds-aaaa-vda" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			ref := s.taken()
			tamper(&ref)
			if err := s.method.Drop(t.Context(), methods.DropRequest{Ref: ref}); err == nil {
				t.Fatal("it was taken")
			}
			if len(s.removed) > 0 {
				t.Fatal("something was removed")
			}
		})
	}
}

func TestStatCountsWhatOnlyTheSnapshotKeeps(t *testing.T) {
	s := newStage(t)
	s.found.snaps = []snapshot{{1, "ds-0000-vda", 1000}}
	ref := s.taken()
	s.diffs = map[[2]string][]extent{
		{"ds-0000-vda", "ds-aaaa-vda"}: {{0, 100, true}, {200, 100, false}, {300, 100, true}, {900, 100, true}},
		{"ds-aaaa-vda", ""}:            {{0, 50, true}, {200, 200, false}},
	}
	info, err := s.method.Stat(t.Context(), ref)
	wantError(t, err, nil)
	if info.BytesUsed != 150 {
		t.Fatalf("%d bytes", info.BytesUsed)
	}
}

func TestStatWithoutFastDiff(t *testing.T) {
	s := newStage(t)
	s.noDiff = true
	info, err := s.method.Stat(t.Context(), s.taken())
	wantError(t, err, nil)
	if info.BytesUsed != -1 {
		t.Fatalf("%d bytes", info.BytesUsed)
	}
}
