package methodtest

import (
	"slices"

	"github.com/domsnap/domsnap/methods"
)

// The checks of what the storage says there is.
const (
	StatMissing  Check = "StatMissing"
	StatPrepared Check = "StatPrepared"
	ListSeesAll  Check = "ListSeesAll"
)

func statChecks() []check {
	return []check{
		{StatMissing, always, statMissing},
		{StatPrepared, always, statPrepared},
		{ListSeesAll, claims("list", func(f facts) bool { return f.verbs.List }), listSeesAll},
	}
}

func statMissing(b *bench) {
	s := b.disk("vda")
	s.take("there")
	_, err := b.Method.Stat(b.Context(), s.plan("missing"))
	b.wantError("stat of what was never taken", err, methods.ErrNotFound)
	gone := s.take("gone").ref
	s.drop(gone)
	_, err = b.Method.Stat(b.Context(), gone)
	b.wantError("stat of what was dropped", err, methods.ErrNotFound)
}

// statPrepared: after a crash before the act, nobody may take the preparations for the snapshot.
func statPrepared(b *bench) {
	s := b.disk("vda")
	ref := s.plan("ready")
	ready := s.prepare(ref)
	_, err := b.Method.Stat(b.Context(), ref)
	b.wantError("stat of what is prepared", err, methods.ErrNotFound)
	b.must("close", ready.Close(b.Context()))
	_, err = b.Method.Stat(b.Context(), ref)
	b.wantError("stat of what was prepared", err, methods.ErrNotFound)
}

func listSeesAll(b *bench) {
	s, other := b.disk("vda"), b.disk("vdb")
	s.take("taken")
	ref := s.plan("ready")
	ready := s.prepare(ref)
	s.wantListed("taken", true)
	s.wantListed("ready", b.Objects != nil && len(b.objects(s.disk)) > 1)
	other.wantNothingListed()
	b.must("close", ready.Close(b.Context()))
	s.drop(ref)
	s.drop(s.taken[0].ref)
	s.wantNothingListed()
}

// wantListed wants the snapshot in the list; unless it must be, it may.
func (s *subject) wantListed(label string, must bool) {
	s.Helper()
	got, err := methods.List(s.Context(), s.Method, s.disk)
	s.must("list the snapshots", err)
	want, err := methods.ObjectName(s.id(label), s.disk.Target)
	s.must("name the snapshot", err)
	if must && !slices.Contains(got, want) {
		s.Errorf("listed is %q, and not %s", got, want)
	}
}

func (s *subject) wantNothingListed() {
	s.Helper()
	got, err := methods.List(s.Context(), s.Method, s.disk)
	s.must("list the snapshots", err)
	if len(got) > 0 {
		s.Errorf("listed for disk %s is %q, want nothing", s.disk.Target, got)
	}
}
