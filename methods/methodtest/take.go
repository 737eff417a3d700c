package methodtest

import (
	"errors"
	"sync"

	"github.com/domsnap/domsnap/methods"
)

// The checks of the act.
const (
	TakeThenStat        Check = "TakeThenStat"
	TakeTwice           Check = "TakeTwice"
	SnapshotIsImmutable Check = "SnapshotIsImmutable"
	TakeLeavesDisk      Check = "TakeLeavesDisk"
	GroupAllOrNothing   Check = "GroupAllOrNothing"
	ConcurrentTakes     Check = "ConcurrentTakes"
)

func takeChecks() []check {
	atomic := claims("atomic group", func(f facts) bool { return f.traits.Atomic })
	return []check{
		{TakeThenStat, always, takeThenStat},
		{TakeTwice, always, takeTwice},
		{SnapshotIsImmutable, always, snapshotIsImmutable},
		{TakeLeavesDisk, always, takeLeavesDisk},
		{GroupAllOrNothing, atomic, groupAllOrNothing},
		{ConcurrentTakes, always, concurrentTakes},
	}
}

func takeThenStat(b *bench) {
	s := b.disk("vda")
	ref := s.plan("one")
	s.tried = append(s.tried, ref)
	b.must("take", b.Method.Take(b.Context(), ref))
	s.took(ref)
	info, err := b.Method.Stat(b.Context(), ref)
	b.must("stat", err)
	if info.BytesUsed < -1 {
		b.Errorf("the snapshot uses %d bytes", info.BytesUsed)
	}
	s.wantSnapshots()
}

func takeTwice(b *bench) {
	s := b.disk("vda")
	snap := s.take("twice")
	s.scribble("after")
	b.wantError("take again", b.Method.Take(b.Context(), snap.ref), methods.ErrExists)
	s.wantSnapshots()
	s.wantDisk()
}

func snapshotIsImmutable(b *bench) {
	s := b.disk("vda")
	for _, label := range []string{"one", "two"} {
		s.take(label)
		s.scribble(label)
	}
	s.write(noise("all", b.suite.Size), 0)
	s.wantSnapshots()
}

func takeLeavesDisk(b *bench) {
	s, other := b.disk("vda"), b.disk("vdb")
	s.take("one")
	s.wantDisk()
	s.scribble("after")
	s.wantDisk()
	other.wantDisk()
	other.wantObjects()
}

// groupAllOrNothing has two disks ready, and makes the act on the second one fail.
func groupAllOrNothing(b *bench) {
	good, bad := b.disk("vda"), b.disk("vdb")
	refs := []methods.Ref{good.plan("group"), bad.plan("group")}
	good.tried, bad.tried = append(good.tried, refs[0]), append(bad.tried, refs[1])
	if b.Spoil == nil {
		bad.take("group")
	}
	err := b.takeGroup(refs, func() {
		if b.Spoil != nil {
			b.Spoil(b, bad.disk)
		}
	})
	if err == nil {
		b.Fatalf("a group with a disk that cannot be taken was taken")
	}
	_, err = b.Method.Stat(b.Context(), refs[0])
	b.wantError("stat the other disk of the group", err, methods.ErrNotFound)
	good.wantDisk()
}

func (b *bench) takeGroup(refs []methods.Ref, prepared func()) error {
	ready, err := methods.Prepare(b.Context(), b.Method, refs)
	if err != nil {
		return err
	}
	prepared()
	return errors.Join(ready.Take(b.Context()), ready.Close(b.Context()))
}

func concurrentTakes(b *bench) {
	var subjects []*subject
	var refs []methods.Ref
	for _, target := range []string{"vda", "vdb", "vdc", "vdd"} {
		s := b.disk(target)
		subjects, refs = append(subjects, s), append(refs, s.plan("beside"))
	}
	b.must("take side by side", b.takeAtOnce(subjects, refs))
	for i, s := range subjects {
		s.took(refs[i])
		s.wantSnapshots()
		s.wantDisk()
	}
}

func (b *bench) takeAtOnce(subjects []*subject, refs []methods.Ref) error {
	b.Helper()
	var group sync.WaitGroup
	locks, errs, ready := locksOf(refs), make([]error, len(refs)), make([]methods.Prepared, len(refs))
	for i, s := range subjects {
		ready[i] = s.prepare(refs[i])
	}
	for i, r := range ready {
		group.Go(func() {
			locks[i].Lock()
			defer locks[i].Unlock()
			errs[i] = errors.Join(r.Take(b.Context()), r.Close(b.Context()))
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// locksOf gives refs of one lock the same mutex.
func locksOf(refs []methods.Ref) []*sync.Mutex {
	byName, locks := map[string]*sync.Mutex{}, make([]*sync.Mutex, len(refs))
	for i, ref := range refs {
		lock := byName[ref.Lock]
		if lock == nil || ref.Lock == "" {
			lock = &sync.Mutex{}
			byName[ref.Lock] = lock
		}
		locks[i] = lock
	}
	return locks
}
