package rbd

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

const object = 4 << 20

// objects are whole objects that exist.
func objects(numbers ...int64) (found []extent) {
	for _, n := range numbers {
		found = append(found, extent{n * object, object, true})
	}
	return found
}

func TestWithout(t *testing.T) {
	for _, c := range []struct{ a, b, want []extent }{
		{objects(0, 1, 2), nil, objects(0, 1, 2)},
		{objects(0, 1, 2), objects(1), objects(0, 2)},
		{objects(1), objects(0, 1, 2), nil},
		{objects(1, 5), objects(0, 5, 9), objects(1)},
		{[]extent{{0, 100, true}}, []extent{{10, 10, true}, {90, 20, true}}, []extent{{0, 10, true}, {20, 70, true}}},
		{[]extent{{0, 10, true}, {20, 10, true}}, []extent{{5, 20, true}}, []extent{{0, 5, true}, {25, 5, true}}},
	} {
		if got := without(c.a, c.b); !slices.Equal(got, c.want) {
			t.Errorf("%v without %v: %v", c.a, c.b, got)
		}
	}
}

func TestPiecesOfJoined(t *testing.T) {
	got := slices.Collect(pieces(join([]extent{{5, 5, true}, {10, 15, true}, {30, 1, true}}), 10))
	want := []extent{{5, 5, true}, {10, 10, true}, {20, 5, true}, {30, 1, true}}
	if !slices.Equal(got, want) {
		t.Fatal(got)
	}
}

func TestRuns(t *testing.T) {
	// The image's blocks of 4 begin at 8 and 12 here.
	got := runs([]byte{0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0}, 6, 4)
	want := []extent{{6, 2, false}, {8, 4, true}, {12, 5, false}}
	if !slices.Equal(got, want) {
		t.Fatal(got)
	}
}

// rewritable is a stage with an image of ten objects. The snapshot has 0 to 7, of which 7 is gone since; 8 is new.
// A block in 1 changed, and a block in 2 that was zero.
func rewritable(t *testing.T) (*stage, methods.RevertRequest) {
	s := newStage(t)
	s.found.size = 10 * object
	s.then = bytes.Repeat([]byte{1}, 10*object)
	clear(s.then[2*object : 2*object+grain])
	clear(s.then[8*object:])
	s.now = slices.Clone(s.then)
	for i := range int64(grain) {
		s.now[object+i], s.now[2*object+i], s.now[8*object+i] = 2, 2, 2
	}
	clear(s.now[7*object : 8*object])
	s.diffs = map[[2]string][]extent{
		{"", "ds-aaaa-vda"}: objects(0, 1, 2, 3, 4, 5, 6, 7),
		{"ds-aaaa-vda", ""}: objects(0, 1, 2, 3, 4, 5, 6, 7),
		{"", ""}:            append(objects(0, 1, 2, 3, 4, 5, 6), extent{7 * object, object, false}, objects(8)[0]),
	}
	s.exact = map[extent][]extent{
		{length: 8 * object}: {{object, grain, true}, {2 * object, grain, true}, {7 * object, object, false}},
	}
	ref := s.taken()
	return s, methods.RevertRequest{To: ref, Disk: s.disk}
}

func TestRevertWritesWhatChanged(t *testing.T) {
	s, req := rewritable(t)
	var told []int64
	req.Progress = func(done, _ int64) { told = append(told, done) }
	done, err := s.method.Revert(t.Context(), req)
	wantError(t, err, nil)
	if done.How != methods.HowChangedExtents || done.BytesWritten != object+2*grain || len(s.rolled) > 0 {
		t.Errorf("%+v, rolled back to %v", done, s.rolled)
	}
	if !bytes.Equal(s.now, s.then) || s.flushed != 1 {
		t.Errorf("the image is not as it was, flushed %d times", s.flushed)
	}
	if !slices.Equal(s.cleared, []extent{objects(8)[0], {2 * object, grain, false}}) {
		t.Errorf("cleared %v", s.cleared)
	}
	if !slices.IsSorted(told) || told[len(told)-1] != 10*object {
		t.Errorf("progress %v", told)
	}
}

func TestRevertRollsBackWhereThatIsBetter(t *testing.T) {
	for name, change := range map[string]func(*stage){
		"striped, or a clone": func(s *stage) { s.striped = true },
		"no fast-diff":        func(s *stage) { s.noDiff = true },
		"much has changed":    func(s *stage) { s.exact[extent{length: 8 * object}] = objects(1, 2) },
		"many small changes":  func(s *stage) { s.exact[extent{length: 8 * object}] = slices.Repeat([]extent{{0, 1, true}}, 128) },
	} {
		t.Run(name, func(t *testing.T) {
			s, req := rewritable(t)
			change(s)
			done, err := s.method.Revert(t.Context(), req)
			wantError(t, err, nil)
			if done.How != methods.HowNative || done.BytesWritten != 0 || len(s.rolled) != 1 || len(s.cleared) > 0 {
				t.Fatalf("%+v, rolled back to %v", done, s.rolled)
			}
		})
	}
}

func TestRevertStopsAtAnError(t *testing.T) {
	s, req := rewritable(t)
	broken := errors.New("broken")
	s.onWrite = func() error { return broken }
	_, err := s.method.Revert(t.Context(), req)
	wantError(t, err, broken)
}

func TestRevertGivenUpIsCompletedByAnother(t *testing.T) {
	s, req := rewritable(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.onWrite = func() error {
		cancel()
		return nil
	}
	_, err := s.method.Revert(ctx, req)
	wantError(t, err, context.Canceled)
	_, err = s.method.Revert(t.Context(), req)
	wantError(t, err, nil)
	if !bytes.Equal(s.now, s.then) {
		t.Error("the image is not as it was")
	}
}

// TestSuspects: an image with the snapshots 1 (old), 2 (bbbb) and 3 (aaaa), which is gone back to.
func TestSuspects(t *testing.T) {
	all := objects(0, 1, 2, 3, 4, 5)
	for name, c := range map[string]struct {
		note string
		ids  []uint64
		want []extent
	}{
		"elders unknown":        {"", []uint64{1, 2, 3}, all},
		"elders known":          {"1 2", []uint64{1, 2, 3, 4}, objects(1, 2, 3)},
		"the first has gone":    {"1 2", []uint64{2, 3}, all},
		"another elder is gone": {"1 2", []uint64{1, 3}, all},
		"no elders":             {"none", []uint64{3}, objects(1)},
		"garbage":               {"1 x", []uint64{1, 2, 3}, all},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{notes: map[string]string{eldersKey("ds-aaaa-vda"): c.note}, found: description{
				ids:   c.ids,
				snaps: []snapshot{{1, "old", 1}, {2, "ds-bbbb-vda", 1}, {3, "ds-aaaa-vda", 1}},
			}, diffs: map[[2]string][]extent{
				{"ds-aaaa-vda", ""}:    objects(1),
				{"old", "ds-aaaa-vda"}: objects(2, 3, 9),
			}}
			got, err := suspects(f, place{snap: "ds-aaaa-vda"}, join(all))
			if err != nil || !slices.Equal(join(got), join(c.want)) {
				t.Errorf("suspects are %v, want %v, %v", got, c.want, err)
			}
		})
	}
}
