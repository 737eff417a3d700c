package methodtest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/domsnap/domsnap/methods"
)

// subject is a disk and its snapshots, as a lineage knows them.
type subject struct {
	*bench
	disk methods.Disk
	// content is what the guest has written.
	content []byte
	// taken are the snapshots, oldest first.
	taken []*snapshot
	// tried are refs that something may have been made for.
	tried []methods.Ref
}

// snapshot is a ref and what it must hold.
type snapshot struct {
	ref     methods.Ref
	content []byte
}

func (s *subject) request(label string) methods.PlanRequest {
	return methods.PlanRequest{Disk: s.disk, ID: s.id(label), Spec: s.Spec}
}

func (s *subject) plan(label string) methods.Ref {
	s.Helper()
	ref, err := s.Method.Plan(s.Context(), s.request(label))
	s.must("plan "+label, err)
	return ref
}

// prepare makes a ref ready. What it made is dropped at the end.
func (s *subject) prepare(ref methods.Ref) methods.Prepared {
	s.Helper()
	s.tried = append(s.tried, ref)
	ready, err := methods.Prepare(s.Context(), s.Method, []methods.Ref{ref})
	s.must("prepare "+ref.Name, err)
	return ready
}

// take makes a snapshot as an operation does.
func (s *subject) take(label string) *snapshot {
	s.Helper()
	ref := s.plan(label)
	ready := s.prepare(ref)
	s.must("take "+label, ready.Take(s.Context()))
	s.must("close "+label, ready.Close(s.Context()))
	return s.took(ref)
}

// took records a snapshot, with what a record keeps of its ref.
func (s *subject) took(ref methods.Ref) *snapshot {
	s.Helper()
	snap := &snapshot{ref: s.recorded(ref), content: slices.Clone(s.content)}
	s.taken = append(s.taken, snap)
	s.follow(ref.Active)
	return snap
}

func (s *subject) recorded(ref methods.Ref) (back methods.Ref) {
	s.Helper()
	raw, err := json.Marshal(ref)
	s.must("record the ref", errors.Join(err, json.Unmarshal(raw, &back)))
	return back
}

// follow finds the disk again after an act that may have moved it.
func (s *subject) follow(active string) {
	s.Helper()
	switch {
	case s.Present != nil:
		s.disk = s.Present(s, s.disk)
	case active != "":
		s.disk.Source.File = active
	}
	if active != "" && s.disk.Source.Path() != active {
		s.Errorf("the disk is at %s, and was to be at %s", s.disk.Source, active)
	}
}

// others are all snapshots but the one.
func (s *subject) others(ref methods.Ref) []methods.Ref {
	var refs []methods.Ref
	for _, snap := range s.taken {
		if snap.ref.Snapshot != ref.Snapshot {
			refs = append(refs, snap.ref)
		}
	}
	return refs
}

func (s *subject) dropRequest(ref methods.Ref) methods.DropRequest {
	req := methods.DropRequest{Ref: ref, Disk: s.disk, Others: s.others(ref)}
	if slices.ContainsFunc(s.tried, func(r methods.Ref) bool { return r.Snapshot == ref.Snapshot }) {
		req.Stage = methods.Abandoned
	}
	return req
}

// drop removes a snapshot and records what that means for the others.
func (s *subject) drop(ref methods.Ref) {
	s.Helper()
	s.must("drop "+ref.Name, s.dropIn(s.Context(), ref))
}

func (s *subject) dropIn(ctx context.Context, ref methods.Ref) error {
	s.Helper()
	req := s.dropRequest(ref)
	plan, err := methods.PlanDrop(ctx, s.Method, req)
	if err != nil {
		return err
	}
	if len(plan.NeededBy) > 0 {
		return methods.Blockedf("needed by %q", plan.NeededBy)
	}
	if err := methods.CheckDrop(ctx, s.Method, req); err != nil {
		return err
	}
	if err := s.Method.Drop(ctx, req); err != nil {
		return err
	}
	s.forget(ref, plan)
	return nil
}

func (s *subject) forget(ref methods.Ref, plan methods.DropPlan) {
	s.Helper()
	s.tried = slices.DeleteFunc(s.tried, func(r methods.Ref) bool { return r.Snapshot == ref.Snapshot })
	s.taken = slices.DeleteFunc(s.taken, func(k *snapshot) bool { return k.ref.Snapshot == ref.Snapshot })
	for _, renamed := range plan.Renamed {
		for _, snap := range s.taken {
			if snap.ref.Snapshot == renamed.Snapshot {
				snap.ref = renamed
			}
		}
	}
	s.follow(plan.Active)
}

// leave drops everything and looks whether anything is left.
func (s *subject) leave() {
	s.Helper()
	defer s.guard()
	ctx := s.background()
	for _, snap := range slices.Backward(slices.Clone(s.taken)) {
		if err := s.dropIn(ctx, snap.ref); err != nil {
			s.Errorf("leave nothing behind: drop %s: %v", snap.ref.Name, err)
		}
	}
	for _, ref := range slices.Clone(s.tried) {
		if err := s.dropIn(ctx, ref); err != nil {
			s.Errorf("leave nothing behind: drop %s: %v", ref.Name, err)
		}
	}
	s.wantObjects()
}

// wantObjects wants these things to be there for snapshots of the disk, whoever can say.
func (s *subject) wantObjects(want ...string) {
	s.Helper()
	got := s.objects(s.disk)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.Errorf("for disk %s there is %q, want %q", s.disk.Target, got, want)
	}
}
