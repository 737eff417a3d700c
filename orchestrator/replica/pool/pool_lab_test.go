//go:build lab

package pool_test

import (
	"errors"
	"os/exec"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/replica"
	"github.com/domsnap/domsnap/orchestrator/replica/pool"
)

// newLabStage is a stage over a pool of the lab's cluster.
func newLabStage(t *testing.T) *stage {
	t.Helper()
	const name = "stage"
	rbd(t, "ceph", "osd", "pool", "create", name, "8")
	rbd(t, "rbd", "pool", "init", name)
	t.Cleanup(func() { rbd(t, "ceph", "osd", "pool", "rm", name, name, "--yes-i-really-really-mean-it") })
	target, err := pool.ParseTarget(pool.Scheme + name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := target.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return &stage{T: t, place: p.(pool.Place)}
}

func rbd(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("run %s %q: %v\n%s", name, args, err, out)
	}
}

// TestLabReplicas: in the real thing each replica is what it is to be, whatever came before and whoever used the head.
func TestLabReplicas(t *testing.T) {
	s := newLabStage(t)
	both := []string{"vda", "vdb"}
	s.sent(1, 0, both...)
	if moved := s.sent(3, 1, both...); moved > 2*5*replica.ChunkSize {
		t.Errorf("%d bytes were moved", moved)
	}
	s.sent(2, 1, both...)
	s.want(both, 1, 2, 3)
	rbd(t, "rbd", "snap", "rollback", "--no-progress", "stage/"+vda+"@replica-"+idOf(1))
	s.sent(4, 2, both...)
	s.want(both, 1, 2, 3, 4)
	rbd(t, "rbd", "bench", "--io-type", "write", "--io-size", "4K", "--io-total", "4K", "stage/"+vda)
	s.sent(5, 4, both...)
	s.want(both, 1, 2, 3, 4, 5)
	for _, day := range []int{3, 5, 1} {
		s.removed(day)
	}
	s.want(both, 2, 4)
	s.removed(2)
	s.removed(4)
	if left, err := s.place.Images.Images(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("there are still %q, %v", left, err)
	}
}

func (s *stage) removed(day int) {
	s.Helper()
	if err := s.place.Remove(s.Context(), replica.Key{Domain: uuid, Snapshot: idOf(day)}); err != nil {
		s.Fatal(err)
	}
}

// TestLabOneAtATime: who is at work on a replica, or uses the head, keeps others out.
func TestLabOneAtATime(t *testing.T) {
	s := newLabStage(t)
	to, err := s.place.Begin(t.Context(), manifest(1, 0, "vda"))
	if err != nil {
		t.Fatal(err)
	}
	other := newOther(t)
	if _, err := other.Begin(t.Context(), manifest(1, 0, "vda")); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("got error %v", err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	to, err = other.Begin(t.Context(), manifest(1, 0, "vda"))
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Error(err)
	}
}

func newOther(t *testing.T) replica.Place {
	t.Helper()
	target, err := pool.ParseTarget(pool.Scheme + "stage")
	if err != nil {
		t.Fatal(err)
	}
	p, err := target.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}
