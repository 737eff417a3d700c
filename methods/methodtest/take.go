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
	for _, target := range []string{"vda", "vdb", "vdc", "vdd"} {
		subjects = append(subjects, b.disk(target))
	}
	var group sync.WaitGroup
	locks, ready := map[string]*sync.Mutex{}, make([]methods.Prepared, len(subjects))
	errs, refs := make([]error, len(subjects)), make([]methods.Ref, len(subjects))
	for i, s := range subjects {
		refs[i] = s.plan("beside")
		ready[i] = s.prepare(refs[i])
		lock := &sync.Mutex{}
		if name := refs[i].Lock; name != "" {
			if locks[name] == nil {
				locks[name] = lock
			}
			lock = locks[name]
		}
		group.Go(func() {
			lock.Lock()
			defer lock.Unlock()
			errs[i] = errors.Join(ready[i].Take(b.Context()), ready[i].Close(b.Context()))
		})
	}
	group.Wait()
	b.must("take side by side", errors.Join(errs...))
	for i, s := range subjects {
		s.took(refs[i])
		s.wantSnapshots()
		s.wantDisk()
	}
}
