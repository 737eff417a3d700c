package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/replica"
	"github.com/domsnap/domsnap/orchestrator/replica/pool"
)

const (
	uuid = "6f1d2c3b-0000-4000-8000-000000000001"
	vda  = "domsnap." + uuid + ".vda"
	size = 1<<20 + 512
)

// stage is a place over a pool in memory.
type stage struct {
	*testing.T
	*images
	place pool.Place
}

func newStage(t *testing.T) *stage {
	all := newImages()
	return &stage{t, all, pool.Place{Images: all}}
}

// disk is the content on a day: a chunk and a half differ each day, and what was there before is zero.
func disk(day int) []byte {
	b := bytes.Repeat([]byte{7}, size)
	clear(b[256<<10 : 512<<10])
	copy(b[(512+day*96)<<10:], bytes.Repeat([]byte{byte(day)}, 96<<10))
	clear(b[day*1000 : day*1000+10])
	return b
}

type content struct{ *bytes.Reader }

func (content) Close() error { return nil }

func idOf(day int) string { return fmt.Sprintf("day%d", day) }

// manifest is one of a snapshot that begins as another day's; none for zero.
func manifest(day, base int, targets ...string) replica.Manifest {
	m := replica.Manifest{
		Key: replica.Key{Domain: uuid, Snapshot: idOf(day)}, DomainName: "web1", Name: "the " + idOf(day),
		Created: time.Date(2026, 11, day, 3, 0, 0, 0, time.UTC),
	}
	if base > 0 {
		m.Base = idOf(base)
	}
	for _, target := range targets {
		m.Disks = append(m.Disks, replica.Disk{Target: target, Size: size, Method: "memory"})
	}
	return m
}

func (s *stage) send(ctx context.Context, m replica.Manifest) (moved int64, err error) {
	to, err := s.place.Begin(ctx, m)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if to.Manifest().State == replica.Complete {
		return 0, nil
	}
	day := m.Created.Day()
	for _, d := range m.Disks {
		sent, err := replica.Send(ctx, to, replica.Sending{Disk: d.Target, Content: content{bytes.NewReader(disk(day))}})
		moved += sent.Moved
		if err != nil {
			return moved, err
		}
	}
	return moved, to.Finish(ctx)
}

func (s *stage) sent(day, base int, targets ...string) int64 {
	s.Helper()
	moved, err := s.send(s.Context(), manifest(day, base, targets...))
	if err != nil {
		s.Fatal(err)
	}
	return moved
}

// want: these days' replicas are complete, and what they are to be.
func (s *stage) want(targets []string, days ...int) {
	s.Helper()
	all, err := s.place.List(s.Context(), "")
	if err != nil {
		s.Fatal(err)
	}
	var complete []int
	for _, m := range all {
		if m.State == replica.Complete {
			complete = append(complete, m.Created.Day())
		}
	}
	if diff := cmp.Diff(days, complete); diff != "" {
		s.Errorf("complete are: %s", diff)
	}
	for _, day := range complete {
		s.wantContent(day, targets)
	}
}

func (s *stage) wantContent(day int, targets []string) {
	s.Helper()
	k := replica.Key{Domain: uuid, Snapshot: idOf(day)}
	for _, target := range targets {
		c, err := s.place.Open(s.Context(), k, target)
		if err != nil {
			s.Fatal(err)
		}
		got := make([]byte, c.Size())
		if _, err := c.ReadAt(got, 0); err != nil || !bytes.Equal(got, disk(day)) {
			s.Errorf("%s of day %d is something else (%v)", target, day, err)
		}
		if err := c.Close(); err != nil {
			s.Error(err)
		}
	}
	if err := s.place.Verify(s.Context(), k, nil); err != nil {
		s.Error(err)
	}
}

func TestReplicaIsASnapshotOfEachImage(t *testing.T) {
	s := newStage(t)
	both := []string{"vda", "vdb"}
	s.sent(1, 0, both...)
	if moved := s.sent(2, 1, both...); moved > 2*5*replica.ChunkSize {
		t.Errorf("%d bytes were moved", moved)
	}
	if moved := s.sent(2, 1, both...); moved != 0 {
		t.Errorf("%d bytes were moved of what was there", moved)
	}
	s.want(both, 1, 2)
	if len(s.all) != 4 {
		t.Errorf("there are %d images", len(s.all))
	}
}

// TestCutAnywhere: whenever it was cut, what was complete is, and the same call completes it.
func TestCutAnywhere(t *testing.T) {
	both := []string{"vda", "vdb"}
	for acts := 0; ; acts++ {
		s := newStage(t)
		s.sent(1, 0, both...)
		s.images.acts = acts
		_, err := s.send(t.Context(), manifest(2, 1, both...))
		s.images.acts = -1
		if err == nil {
			if acts < 20 {
				t.Errorf("there were %d acts", acts)
			}
			return
		}
		if !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		s.want(both, 1)
		if acts%2 == 0 {
			s.sent(3, 1, both...)
			s.want(both, 1, 3)
		}
		s.sent(2, 1, both...)
		s.wantContent(1, both)
		s.wantContent(2, both)
	}
}

// TestCutRemovalGoesOn: a replica whose removal was cut is not complete, and goes the next time.
func TestCutRemovalGoesOn(t *testing.T) {
	both := []string{"vda", "vdb"}
	for acts := 0; ; acts++ {
		s := newStage(t)
		for day := 1; day <= 3; day++ {
			s.sent(day, day-1, both...)
		}
		k := replica.Key{Domain: uuid, Snapshot: idOf(2)}
		s.images.acts = acts
		err := s.place.Remove(t.Context(), k)
		s.images.acts = -1
		if err == nil && acts > 0 {
			s.want(both, 1, 3)
			return
		}
		if acts > 0 {
			s.want(both, 1, 3)
		}
		if err := s.place.Remove(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		s.want(both, 1, 3)
		for _, i := range s.all {
			if len(i.snaps) != 2 || i.notes["domsnap.replica."+idOf(2)] != "" {
				t.Errorf("after %d acts there is %+v", acts, i.notes)
			}
		}
	}
}

func TestImagesGoWithTheLastReplica(t *testing.T) {
	s := newStage(t)
	s.sent(1, 0, "vda", "vdb")
	s.sent(2, 1, "vda")
	for _, day := range []int{2, 1} {
		if err := s.place.Remove(t.Context(), replica.Key{Domain: uuid, Snapshot: idOf(day)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.all) != 0 {
		t.Errorf("there are %d images left", len(s.all))
	}
}

// TestHeadThatSomebodyHasUsedIsRolledBack: a guest ran on it, or somebody went back to an older snapshot.
func TestHeadThatSomebodyHasUsedIsRolledBack(t *testing.T) {
	for name, use := range map[string]func(h *handle) error{
		"written":     func(h *handle) error { _, err := h.WriteAt([]byte("guest"), 700<<10); return err },
		"rolled back": func(h *handle) error { return h.RollBack(t.Context(), "replica-"+idOf(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.sent(1, 0, "vda")
			s.sent(2, 1, "vda")
			h, err := s.open(vda, true)
			if err == nil {
				err = errors.Join(use(h), h.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			to, err := s.place.Begin(t.Context(), manifest(3, 2, "vda"))
			if err != nil {
				t.Fatal(err)
			}
			if err := to.Close(); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(s.all[vda].data, disk(2)) {
				t.Error("the head is not what the replica was to begin as")
			}
		})
	}
}

// TestOlderBase: the head is rolled back to where the replica begins.
func TestOlderBase(t *testing.T) {
	s := newStage(t)
	s.sent(1, 0, "vda")
	s.sent(3, 1, "vda")
	s.sent(2, 1, "vda")
	s.sent(4, 3, "vda")
	s.want([]string{"vda"}, 1, 2, 3, 4)
}

func TestAnotherSizeBeginsAnew(t *testing.T) {
	s := newStage(t)
	s.sent(1, 0, "vda")
	m := manifest(2, 1, "vda")
	m.Disks[0].Size = 2 << 20
	to, err := s.place.Begin(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	grown := bytes.Repeat([]byte{3}, 2<<20)
	if _, err := replica.Send(t.Context(), to, replica.Sending{Disk: "vda", Content: content{bytes.NewReader(grown)}}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(to.Finish(t.Context()), to.Close()); err != nil {
		t.Fatal(err)
	}
	s.wantContent(1, []string{"vda"})
	if !bytes.Equal(s.all[vda].snaps[1].data, grown) {
		t.Error("the larger replica is something else")
	}
}

func TestVerifyFindsAFlippedByte(t *testing.T) {
	s := newStage(t)
	s.sent(1, 0, "vda")
	s.all[vda].snaps[0].data[900<<10] ^= 1
	if err := s.place.Verify(t.Context(), replica.Key{Domain: uuid, Snapshot: idOf(1)}, nil); !errors.Is(err, methods.ErrBroken) {
		t.Errorf("got error %v", err)
	}
}

func TestCloneKeepsAReplica(t *testing.T) {
	s := newStage(t)
	s.sent(1, 0, "vda")
	s.all[vda].needed = []string{"clone rbd/drill"}
	if err := s.place.Remove(t.Context(), replica.Key{Domain: uuid, Snapshot: idOf(1)}); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("got error %v", err)
	}
	s.want([]string{"vda"}, 1)
}

func TestOneAtATime(t *testing.T) {
	s := newStage(t)
	to, err := s.place.Begin(t.Context(), manifest(1, 0, "vda"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	for _, day := range []int{1, 2} {
		if _, err := s.place.Begin(t.Context(), manifest(day, 0, "vda")); !errors.Is(err, methods.ErrBlocked) {
			t.Errorf("got error %v", err)
		}
	}
}

func TestTargets(t *testing.T) {
	long := strings.Repeat("x", 128)
	for text, want := range map[string]string{
		"rbd:backup": "rbd:backup", "rbd:backup/vms": "rbd:backup/vms", "rbd:b:conf=/etc/ceph/far.conf:id=me": "rbd:b:id=me:conf=/etc/ceph/far.conf",
		"rbd:": "", "rbd:/x": "", "rbd:a/": "", "rbd:a/b/c": "", "rbd:a@far": "", "rbd:a:conf=far.conf": "", "rbd:a:id=": "", "rbd:a:id=x:id=y": "",
		"rbd:a:x=y": "", "rbd:a b": "", "rbd:a:conf=/a,/b": "", "rbd:-a": "", "/a": "",
		"rbd:" + long: "rbd:" + long, "rbd:a" + long: "", "rbd:p/a" + long: "", "rbd:p:id=a" + long: "",
	} {
		got, err := pool.ParseTarget(text)
		if err == nil && got.String() != want || err != nil && want != "" {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// TestReplicaThatIsThereNeedsNobodyOutOfTheWay: a guest runs from its image, say.
func TestReplicaThatIsThereNeedsNobodyOutOfTheWay(t *testing.T) {
	s := newStage(t)
	s.sent(1, 0, "vda")
	guest, err := s.Change(t.Context(), vda)
	if err != nil {
		t.Fatal(err)
	}
	defer guest.Close()
	to, err := s.place.Begin(t.Context(), manifest(1, 0, "vda"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if m := to.Manifest(); m.State != replica.Complete {
		t.Errorf("it is %s", m.State)
	}
	if _, err := s.place.Begin(t.Context(), manifest(2, 1, "vda")); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("got error %v", err)
	}
}
