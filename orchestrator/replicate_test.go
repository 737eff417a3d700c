package orchestrator_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/keep"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

const backup = "file:/backup"

func (r *rig) place(t *testing.T) *replica.Store {
	t.Helper()
	s, err := replica.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (r *rig) replicate(p replica.Place, name string) *orchestrator.Replicated {
	r.t.Helper()
	done, err := r.Replicate(r.t.Context(), orchestrator.ReplicateOptions{Domain: "web1", Snapshot: name, To: backup, Place: p})
	if err != nil {
		r.t.Fatalf("replicate %s: %v", name, err)
	}
	r.wantNoHolds()
	return done
}

func (r *rig) wantReplica(p replica.Place, name string, want ...string) {
	r.t.Helper()
	m, err := replica.Find(r.t.Context(), p, "web1", name)
	if err != nil {
		r.t.Fatal(err)
	}
	var got []string
	for _, d := range m.Disks {
		c, err := p.Open(r.t.Context(), m.Key, d.Target)
		if err != nil {
			r.t.Fatal(err)
		}
		text, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size()))
		if err := errors.Join(err, c.Close()); err != nil {
			r.t.Fatal(err)
		}
		got = append(got, string(text))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Error(diff)
	}
}

func TestReplicateFindsWhatBothSidesHave(t *testing.T) {
	r := twoSnapshots(t)
	p := r.place(t)
	one := r.replicate(p, "one")
	if one.Base != nil || one.State != replica.Complete || one.Disks[0].How != orchestrator.HowFull || one.BytesMoved != 10 {
		t.Errorf("%+v", one)
	}
	two := r.replicate(p, "two")
	if two.Base == nil || *two.Base != "one" || two.Disks[0].How != methods.HowChangedExtents || two.BytesMoved >= one.BytesMoved {
		t.Errorf("%+v", two)
	}
	if again := r.replicate(p, "two"); !again.Already || again.BytesMoved != 0 {
		t.Errorf("%+v", again)
	}
	r.wantReplica(p, "one", "a one", "b one")
	r.wantReplica(p, "two", "a two", "b two")
	m, err := replica.Find(t.Context(), p, r.domain.uuid, "two")
	if err != nil || !strings.Contains(m.Descriptor, "<domainsnapshot") || m.DomainName != "web1" || m.Parent == "" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestReplicateComparesWhereTheBaseIsGone, or the storage cannot say what has changed.
func TestReplicateComparesWhereTheBaseIsGone(t *testing.T) {
	r := twoSnapshots(t)
	p := r.place(t)
	r.replicate(p, "one")
	if _, err := r.ForgetReplicas(t.Context(), "web1", backup); err != nil {
		t.Fatal(err)
	}
	r.delete("one")
	if two := r.replicate(p, "two"); two.Base == nil || two.Disks[0].How != methods.HowCompare {
		t.Errorf("%+v", two)
	}
	r.wantReplica(p, "two", "a two", "b two")
}

// TestDiskThatTheBaseLacksIsSentInFull: what has changed since would not be enough.
func TestDiskThatTheBaseLacksIsSentInFull(t *testing.T) {
	r := twoSnapshots(t)
	p := r.place(t)
	_, err := r.Replicate(t.Context(), orchestrator.ReplicateOptions{Domain: "web1", Snapshot: "one", Disks: []string{"vda"}, To: backup, Place: p})
	if err != nil {
		t.Fatal(err)
	}
	r.wantReplica(p, "one", "a one")
	two := r.replicate(p, "two")
	if two.Disks[0].How != methods.HowChangedExtents || two.Disks[1].How != orchestrator.HowFull {
		t.Errorf("%+v", two)
	}
	r.wantReplica(p, "two", "a two", "b two")
}

func TestBaseOfTheNextReplicaStays(t *testing.T) {
	r := twoSnapshots(t)
	p := r.place(t)
	r.replicate(p, "one")
	pruned, err := r.Prune(t.Context(), orchestrator.PruneOptions{Domain: "web1", Keep: keep.Rules{Last: 1}})
	if err != nil || len(pruned.Deleted) > 0 {
		t.Fatalf("%+v, %v", pruned, err)
	}
	if diff := cmp.Diff([]string{"the next increment to " + backup}, pruned.Kept[0].Because); diff != "" {
		t.Error(diff)
	}
	s, err := r.Info(t.Context(), "web1", "one")
	if err != nil || s.Children() != 1 || !cmp.Equal(s.Increments, []string{"the next increment to " + backup}) || len(s.Dependents) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	result := r.delete("one")
	if len(result.PendingDelete) != 1 || !strings.Contains(result.PendingDelete[0].Because[0], "the next increment to "+backup) {
		t.Fatalf("%+v", result)
	}
	two := r.replicate(p, "two")
	if two.Base == nil || two.Disks[0].How != methods.HowChangedExtents || !cmp.Equal(two.Deleted, []string{"one"}) {
		t.Errorf("%+v", two)
	}
	r.wantNames("two")
	r.delete("two")
	forgotten, err := r.ForgetReplicas(t.Context(), "web1", backup)
	if err != nil || !cmp.Equal(forgotten.Deleted, []string{"two"}) {
		t.Errorf("%+v, %v", forgotten, err)
	}
	_, err = r.ForgetReplicas(t.Context(), "web1", backup)
	wantError(t, err, orchestrator.ErrNotFound)
}

// TestOlderReplicaBeginsNothing: the next increment begins with the youngest.
func TestOlderReplicaBeginsNothing(t *testing.T) {
	r := twoSnapshots(t)
	p := r.place(t)
	r.replicate(p, "two")
	if one := r.replicate(p, "one"); one.Base != nil {
		t.Errorf("%+v", one)
	}
	r.wantReplica(p, "one", "a one", "b one")
	if result := r.delete("two"); len(result.PendingDelete) != 1 {
		t.Errorf("%+v", result)
	}
	if result := r.delete("one"); len(result.Deleted) != 1 {
		t.Errorf("%+v", result)
	}
}

func TestReplicationThatFailsHoldsNothingAndGoesOn(t *testing.T) {
	r := twoSnapshots(t)
	p := r.place(t)
	r.store.Fail(memory.AtOpen, "vdb", errPlanned)
	_, err := r.Replicate(t.Context(), orchestrator.ReplicateOptions{Domain: "web1", Snapshot: "one", To: backup, Place: p})
	wantError(t, err, errPlanned)
	r.wantNoHolds()
	r.store.Fail(memory.AtOpen, "vdb", nil)
	cut := &cutPlace{Store: p, after: 1}
	_, err = r.Replicate(t.Context(), orchestrator.ReplicateOptions{Domain: "web1", Snapshot: "one", To: backup, Place: cut})
	wantError(t, err, errPlanned)
	r.wantNoHolds()
	if one := r.replicate(p, "one"); !one.Resumed || one.BytesMoved != 5 {
		t.Errorf("%+v", one)
	}
	r.wantReplica(p, "one", "a one", "b one")
}

// cutPlace is cut when it has synced a few times.
type cutPlace struct {
	*replica.Store
	after int
}

func (c *cutPlace) Begin(ctx context.Context, m replica.Manifest) (replica.Inbox, error) {
	in, err := c.Store.Begin(ctx, m)
	return &cutInbox{in, c}, err
}

type cutInbox struct {
	replica.Inbox
	place *cutPlace
}

func (c *cutInbox) Sync(ctx context.Context, disk string, done int64) error {
	if c.place.after == 0 {
		return errPlanned
	}
	c.place.after--
	return c.Inbox.Sync(ctx, disk, done)
}

func TestSnapshotStaysWhileItIsReplicated(t *testing.T) {
	r := twoSnapshots(t)
	p := r.place(t)
	r.store.On(memory.AtOpen, "vda", func(context.Context) error {
		r.store.On(memory.AtOpen, "vda", nil)
		if result := r.delete("two"); len(result.PendingDelete) != 1 || !strings.Contains(result.PendingDelete[0].Because[0], "snapshot-replicate") {
			t.Errorf("%+v", result)
		}
		return nil
	})
	r.replicate(p, "two")
	r.wantReplica(p, "two", "a two", "b two")
}

func TestReplicateRefuses(t *testing.T) {
	r := twoSnapshots(t)
	p := r.place(t)
	for _, o := range []orchestrator.ReplicateOptions{{Snapshot: "nothing"}, {Snapshot: "one", Disks: []string{"vdz"}}} {
		o.Domain, o.To, o.Place = "web1", backup, p
		_, err := r.Replicate(t.Context(), o)
		wantError(t, err, orchestrator.ErrNotFound)
		r.wantNoHolds()
	}
}

// lacking is a method that wants what is not linked in.
type lacking struct{ methods.Method }

func (lacking) Linked() error { return methods.Unsupportedf("it is not linked in") }

func TestReplicateGoesOnAsAnotherProgramBeforeItDoesAnything(t *testing.T) {
	r := twoSnapshots(t)
	p := r.place(t)
	r.Methods = methods.Set{lacking{r.Methods[0]}}
	became := errors.New("became another program")
	_, err := r.Replicate(t.Context(), orchestrator.ReplicateOptions{
		Domain: "web1", Snapshot: "one", To: backup, Place: p, Unlinked: func() error { return became },
	})
	if !errors.Is(err, became) {
		t.Errorf("got error %v", err)
	}
	if all, err := p.List(t.Context(), ""); err != nil || len(all) != 0 {
		t.Errorf("there are %v, %v", all, err)
	}
	r.wantNoHolds()
}
