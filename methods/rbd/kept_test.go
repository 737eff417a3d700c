package rbd

import (
	"errors"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
)

func TestConnectionsAreUsedAgain(t *testing.T) {
	f := &fake{}
	made := 0
	k := &kept{life: time.Hour, connect: func(i methods.RBDImage) (cluster, error) {
		made++
		return f.connect(i)
	}}
	use := func(image methods.RBDImage) func() {
		c, err := k.take(image)
		wantError(t, err, nil)
		return func() { k.give(image, c) }
	}
	use(methods.RBDImage{Pool: "p", Image: "a"})()
	back := use(methods.RBDImage{Pool: "p", Image: "b"})
	if made != 1 {
		t.Errorf("%d connections for one after the other", made)
	}
	use(methods.RBDImage{Pool: "p", Image: "c"})()
	if made != 2 {
		t.Errorf("%d connections for two at once", made)
	}
	back()
	for n, other := range []methods.RBDImage{
		{Pool: "q"}, {Pool: "p", Namespace: "n"}, {Pool: "p", User: "u"}, {Pool: "p", Config: "c"}, {Pool: "p", Monitors: []string{"m"}},
	} {
		if use(other)(); made != 3+n {
			t.Errorf("%+v had the connection of another", other)
		}
	}
}

func TestConnectionWhereAnImageStaysOpenIsNotKept(t *testing.T) {
	s := newStage(t)
	s.method.connections.life = time.Hour
	ref := s.plan(t.Context())
	s.onClose = errors.New("broken")
	_, err := s.method.Stat(t.Context(), ref)
	wantError(t, err, s.onClose)
}

func TestConnectionsAreClosedWhenUnused(t *testing.T) {
	s := newStage(t)
	s.method.connections.life = time.Hour
	s.plan(t.Context())
	if s.handles() != 1 {
		t.Fatalf("%d handles, want the connection", s.handles())
	}
	s.method.connections.life = 0
	s.plan(t.Context())
	s.nothingOpen()
}
