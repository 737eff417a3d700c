package methodtest

import (
	"github.com/domsnap/domsnap/methods"
)

// The checks of a drop.
const (
	DropMissing       Check = "DropMissing"
	DropTwice         Check = "DropTwice"
	DropPrepared      Check = "DropPrepared"
	DropMiddleOfChain Check = "DropMiddleOfChain"
	DropOldestFirst   Check = "DropOldestFirst"
	NothingLeftBehind Check = "NothingLeftBehind"
)

func dropChecks() []check {
	return []check{
		{DropMissing, always, dropMissing},
		{DropTwice, always, dropTwice},
		{DropPrepared, always, dropPrepared},
		{DropMiddleOfChain, always, dropMiddleOfChain},
		{DropOldestFirst, always, dropOldestFirst},
		{NothingLeftBehind, always, nothingLeftBehind},
	}
}

func dropMissing(b *bench) {
	s := b.disk("vda")
	s.take("there")
	ref := s.plan("missing")
	b.must("check the drop of what is not there", methods.CheckDrop(b.Context(), b.Method, s.dropRequest(ref)))
	b.must("drop what is not there", b.Method.Drop(b.Context(), s.dropRequest(ref)))
	s.wantSnapshots()
	s.wantDisk()
}

func dropTwice(b *bench) {
	s := b.disk("vda")
	ref := s.take("twice").ref
	s.scribble("after")
	s.drop(ref)
	b.must("drop it again", b.Method.Drop(b.Context(), s.dropRequest(ref)))
	s.wantDisk()
	s.wantObjects()
}

func dropPrepared(b *bench) {
	s := b.disk("vda")
	ref := s.plan("ready")
	ready := s.prepare(ref)
	b.must("close", ready.Close(b.Context()))
	s.drop(ref)
	s.wantObjects()
	s.wantDisk()
	s.take("ready")
}

func dropMiddleOfChain(b *bench) {
	s := b.chain()
	s.drop(s.taken[1].ref)
	s.wantSnapshots()
	s.wantDisk()
}

func dropOldestFirst(b *bench) {
	s := b.chain()
	for len(s.taken) > 0 {
		s.drop(s.taken[0].ref)
		s.wantSnapshots()
		s.wantDisk()
	}
}

// chain is a disk with three snapshots, each of something else.
func (b *bench) chain() *subject {
	b.Helper()
	s := b.disk("vda")
	for _, label := range []string{"old", "middle", "young"} {
		s.take(label)
		s.scribble(label)
	}
	return s
}

func nothingLeftBehind(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	c := s.open(snap.ref)
	b.wantContent("snapshot", c, snap.content)
	if _, err := methods.SourceOf(b.Context(), b.Method, snap.ref); err == nil {
		s.wantSnapshots()
	}
	s.drop(snap.ref)
	s.wantObjects()
}
