package methodtest

import (
	"context"
	"reflect"
	"slices"

	"github.com/domsnap/domsnap/methods"
)

// The checks of a revert, whichever way it goes.
const (
	RevertRestores      Check = "RevertRestores"
	RevertTwice         Check = "RevertTwice"
	RevertOlderYounger  Check = "RevertOlderYounger"
	RevertKeepsIdentity Check = "RevertKeepsIdentity"
	RevertKeepsSnapshot Check = "RevertKeepsSnapshot"
	RevertLeavesOthers  Check = "RevertLeavesOthers"
	RevertCanBeUndone   Check = "RevertCanBeUndone"
	CheckRevertRefuses  Check = "CheckRevertRefuses"
)

func revertChecks() []check {
	return []check{
		{RevertRestores, always, revertRestores},
		{RevertTwice, always, revertTwice},
		{RevertOlderYounger, always, revertOlderYounger},
		{RevertKeepsIdentity, always, revertKeepsIdentity},
		{RevertKeepsSnapshot, always, revertKeepsSnapshot},
		{RevertLeavesOthers, always, revertLeavesOthers},
		{RevertCanBeUndone, always, revertCanBeUndone},
		{CheckRevertRefuses, always, checkRevertRefuses},
	}
}

func (s *subject) revertRequest(to *snapshot) methods.RevertRequest {
	return methods.RevertRequest{To: to.ref, Disk: s.disk, Others: s.others(to.ref), Disks: s.Disks}
}

// revert checks, reverts and verifies, as an operation does.
func (s *subject) revert(to *snapshot) {
	s.Helper()
	s.revertBy(s.Method, s.revertRequest(to), to)
}

func (s *subject) revertBy(m methods.Method, req methods.RevertRequest, to *snapshot) {
	s.Helper()
	how, err := methods.CheckRevert(s.Context(), m, req)
	s.must("check the revert to "+to.ref.Name, err)
	req.How = how
	_, err = methods.Revert(s.Context(), m, req)
	s.must("revert to "+to.ref.Name, err)
	s.reverted(to)
}

// reverted says that the disk holds what the snapshot does, and wants it to be so.
func (s *subject) reverted(to *snapshot) {
	s.Helper()
	s.content = slices.Clone(to.content)
	s.wantDisk()
}

func revertRestores(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	s.write(noise("all", b.suite.Size), 0)
	s.revert(snap)
	s.scribble("part")
	s.revert(snap)
}

func revertTwice(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	s.scribble("after")
	s.revert(snap)
	s.revert(snap)
	s.scribble("again")
	s.revert(snap)
}

func revertOlderYounger(b *bench) {
	s := b.chain()
	for _, i := range []int{0, 2, 1, 2, 0} {
		s.revert(s.taken[i])
		s.wantSnapshots()
	}
	s.scribble("after")
	s.wantDisk()
	s.wantSnapshots()
}

func revertKeepsIdentity(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	s.scribble("after")
	before := s.disk
	s.revert(snap)
	s.follow("")
	if !reflect.DeepEqual(s.disk, before) {
		b.Errorf("the disk was %+v, and is %+v", before, s.disk)
	}
	d, err := b.Disks.OpenDisk(b.Context(), before)
	b.must("open the disk", err)
	if d.Size() != b.suite.Size {
		b.Errorf("the disk had %d bytes, and has %d", b.suite.Size, d.Size())
	}
	b.must("close the disk", d.Close())
}

// revertKeepsSnapshot: the snapshot outlives the revert, and what is written afterwards.
func revertKeepsSnapshot(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	s.scribble("before")
	s.revert(snap)
	_, err := b.Method.Stat(b.Context(), snap.ref)
	b.must("stat after the revert", err)
	s.write(noise("all", b.suite.Size), 0)
	s.wantSnapshots()
}

func revertLeavesOthers(b *bench) {
	s, other := b.disk("vda"), b.disk("vdb")
	snap := s.take("one")
	other.take("one")
	other.scribble("after")
	s.scribble("after")
	s.revert(snap)
	other.wantDisk()
	other.wantSnapshots()
}

// revertCanBeUndone keeps the present, by the revert itself or before it, and goes back to it.
func revertCanBeUndone(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	s.scribble("present")
	req := s.revertRequest(snap)
	how, err := methods.CheckRevert(b.Context(), b.Method, req)
	b.must("check the revert", err)
	keep, byRevert, err := methods.PlanSafety(b.Context(), b.Method, how, s.request("keep"))
	b.must("plan what is kept", err)
	present := slices.Clone(s.content)
	if byRevert {
		s.tried = append(s.tried, keep)
		req.How, req.Keep = how, &keep
		_, err := methods.Revert(b.Context(), b.Method, req)
		b.must("revert", err)
		s.reverted(snap)
		s.taken = append(s.taken, &snapshot{s.recorded(keep), present})
		s.follow("")
	} else {
		s.take("keep")
		s.revert(snap)
	}
	s.wantSnapshots()
	s.revert(s.taken[len(s.taken)-1])
	s.wantSnapshots()
}

func checkRevertRefuses(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	s.scribble("after")
	active := s.revertRequest(snap)
	active.Disk.Domain.Active = true
	b.wantRefused("a running domain", active, methods.ErrBlocked)
	missing := s.revertRequest(snap)
	missing.To = s.plan("missing")
	b.wantRefused("no snapshot", missing, methods.ErrNotFound)
	s.wantDisk()
	s.wantSnapshots()
	grown := s.revertRequest(snap)
	if b.Grow != nil {
		b.Grow(b, s.disk)
	} else {
		grown.To.Size += sector
	}
	b.wantRefused("another size", grown, methods.ErrBlocked)
	s.wantSnapshots()
}

func (b *bench) wantRefused(what string, req methods.RevertRequest, kind error) {
	b.Helper()
	_, err := methods.CheckRevert(b.Context(), b.Method, req)
	b.wantError("check a revert: "+what, err, kind)
	for _, how := range []methods.How{methods.HowCompare} {
		req.How = how
		_, err = methods.Revert(context.WithoutCancel(b.Context()), b.Method, req)
		b.wantError("revert by "+string(how)+": "+what, err, kind)
	}
}
