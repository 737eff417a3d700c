package rbd

import (
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func newPool(t *testing.T) (*stage, *Pool) {
	t.Helper()
	s := newStage(t)
	p, err := openPool(t.Context(), methods.RBDImage{Pool: "pool"}, s.connect)
	wantError(t, err, nil)
	p.limits = s.method.limits
	t.Cleanup(func() { wantError(t, p.Close(), nil) })
	return s, p
}

func TestImageOfAPoolIsChangedByNobodyElse(t *testing.T) {
	s, p := newPool(t)
	i, err := p.Change(t.Context(), "disk")
	wantError(t, err, nil)
	wantError(t, i.CreateSnapshot(t.Context(), "one"), nil)
	wantError(t, i.RemoveSnapshot(t.Context(), "none"), nil)
	wantError(t, i.Close(), nil)
	s.by = users{watchers: []client{{"client.7", "host"}}}
	_, err = p.Change(t.Context(), "disk")
	wantError(t, err, methods.ErrBlocked)
	s.by = users{locks: []client{{"client.7", "host"}}}
	_, err = p.Change(t.Context(), "disk")
	wantError(t, err, methods.ErrBlocked)
}

func TestPoolWaitsForWhoDied(t *testing.T) {
	s, p := newPool(t)
	s.silence = [][]client{{{"client.7", "host"}}}
	i, err := p.Change(t.Context(), "disk")
	wantError(t, err, nil)
	wantError(t, i.Close(), nil)
	if len(s.silence) != 0 {
		t.Error("nobody was asked whether they live")
	}
}

func TestImageThatIsNotThere(t *testing.T) {
	s, p := newPool(t)
	s.missing = true
	_, err := p.Look(t.Context(), "disk")
	wantError(t, err, methods.ErrNotFound)
	_, err = p.Change(t.Context(), "disk")
	wantError(t, err, methods.ErrNotFound)
	wantError(t, p.Remove(t.Context(), "disk"), nil)
	wantError(t, p.Create(t.Context(), "disk", 1, false), methods.ErrExists)
}

func TestHeadDiffersByTheObjectMapOrByEachObject(t *testing.T) {
	s, p := newPool(t)
	s.diffs = map[[2]string][]extent{{"one", ""}: {{0, 10, true}}}
	i, err := p.Look(t.Context(), "disk")
	wantError(t, err, nil)
	for _, c := range []struct {
		snap    string
		noDiff  bool
		exact   []extent
		differs bool
	}{{"one", false, nil, true}, {"two", false, nil, false}, {"one", true, nil, false}, {"two", true, []extent{{5, 5, true}}, true}} {
		s.noDiff, s.exact = c.noDiff, map[extent][]extent{{length: 1000}: c.exact}
		if differs, err := i.Differs(t.Context(), c.snap); err != nil || differs != c.differs {
			t.Errorf("%+v: %v, %v", c, differs, err)
		}
	}
	wantError(t, i.Close(), nil)
}
