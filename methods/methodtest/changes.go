package methodtest

import (
	"errors"

	"github.com/domsnap/domsnap/methods"
)

// The checks of the list of changes.
const (
	ChangesCover         Check = "ChangesCover"
	ChangesBetween       Check = "ChangesBetween"
	ChangesNoneWhenEqual Check = "ChangesNoneWhenEqual"
	ChangesOfMissing     Check = "ChangesOfMissing"
)

func changesChecks() []check {
	differ := claims("list of changes", func(f facts) bool { return f.verbs.Changes })
	return []check{
		{ChangesCover, differ, changesCover},
		{ChangesBetween, differ, changesBetween},
		{ChangesNoneWhenEqual, differ, changesNoneWhenEqual},
		{ChangesOfMissing, differ, changesOfMissing},
	}
}

func changesCover(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	for _, seed := range []string{"first", "second"} {
		s.scribble(seed)
		got, err := s.changes(snap.ref, nil)
		b.must("list the changes", err)
		b.wantCover(got, snap.content, s.content)
	}
	s.write(noise("all", b.suite.Size), 0)
	got, err := s.changes(snap.ref, nil)
	b.must("list the changes", err)
	b.wantCover(got, snap.content, s.content)
}

// changesBetween asks for every pair of three snapshots, in both directions. A storage may not know some.
func changesBetween(b *bench) {
	s := b.chain()
	for _, from := range s.taken {
		for _, to := range s.taken {
			got, err := s.changes(from.ref, &to.ref)
			if errors.Is(err, methods.ErrUnsupported) {
				b.Logf("the storage cannot say what differs between %s and %s: %v", from.ref.Name, to.ref.Name, err)
				continue
			}
			b.must("list the changes", err)
			b.wantCover(got, from.content, to.content)
		}
	}
}

// changesNoneWhenEqual: a storage may list too much, and one that lists everything knows nothing.
func changesNoneWhenEqual(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	got, err := s.changes(snap.ref, nil)
	b.must("list the changes", err)
	if total := methods.TotalLength(got); total >= b.suite.Size {
		b.Errorf("nothing was written, and %d bytes of %d may have changed", total, b.suite.Size)
	}
}

func changesOfMissing(b *bench) {
	s := b.disk("vda")
	s.take("there")
	if got, err := s.changes(s.plan("missing"), nil); err == nil {
		b.Errorf("the changes since a snapshot that is not there are %v", got)
	}
}

func (s *subject) changes(from methods.Ref, to *methods.Ref) ([]methods.Extent, error) {
	return methods.Changes(s.Context(), s.Method, methods.ChangesRequest{From: from, To: to, Disk: s.disk})
}

// wantCover wants extents that are ascending, apart and within the disk, with everything that differs in them.
func (b *bench) wantCover(extents []methods.Extent, from, to []byte) {
	b.Helper()
	end := int64(0)
	for _, e := range extents {
		if e.Offset < end || e.Length <= 0 || e.End() > int64(len(to)) {
			b.Fatalf("extent %+v begins before %d, is empty, or ends behind %d: %v", e, end, len(to), extents)
		}
		b.wantSame(from, to, methods.Extent{Offset: end, Length: e.Offset - end})
		end = e.End()
	}
	b.wantSame(from, to, methods.Extent{Offset: end, Length: int64(len(to)) - end})
}

func (b *bench) wantSame(from, to []byte, e methods.Extent) {
	b.Helper()
	if at := firstDifference(from[e.Offset:e.End()], to[e.Offset:e.End()]); at >= 0 {
		b.Errorf("byte %d has changed and is not listed", e.Offset+int64(at))
	}
}
