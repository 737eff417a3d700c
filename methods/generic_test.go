package methods_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
)

// page is what the generic revert writes at least.
const page = 64 << 10

func comparing() memory.Options { return without(methods.Verbs{Revert: true, Changes: true}) }
func extenting() memory.Options { return without(methods.Verbs{Revert: true}) }

func TestGenericRevertByChangedExtentsTouchesOnlyThose(t *testing.T) {
	r := newRig(t, extenting())
	r.write(7, 1<<20, 1<<20+1, size-1)
	done, err := r.revert(r, r.request())
	if err != nil || done != (methods.Reverted{How: methods.HowChangedExtents, BytesWritten: 4}) {
		t.Errorf("%+v, %v", done, err)
	}
	want := []methods.Extent{{Offset: 7, Length: 1}, {Offset: 1 << 20, Length: 2}, {Offset: size - 1, Length: 1}}
	if diff := cmp.Diff(want, r.disks.written); diff != "" {
		t.Errorf("written: %s", diff)
	}
	if diff := cmp.Diff(want, r.disks.read); diff != "" {
		t.Errorf("read: %s", diff)
	}
	r.wantReverted(true)
}

func TestGenericRevertByCompareWritesWhatDiffers(t *testing.T) {
	r := newRig(t, comparing())
	r.write(7, 1<<20, size-1)
	done, err := r.revert(r, r.request())
	last := int64(size - size%page)
	want := []methods.Extent{{Offset: 0, Length: page}, {Offset: 1 << 20, Length: page}, {Offset: last, Length: size - last}}
	if err != nil || done != (methods.Reverted{How: methods.HowCompare, BytesWritten: methods.TotalLength(want)}) {
		t.Errorf("%+v, %v", done, err)
	}
	if diff := cmp.Diff(want, r.disks.written); diff != "" {
		t.Errorf("written: %s", diff)
	}
	r.wantReverted(true)
}

func TestGenericRevertAgainFindsLessToWrite(t *testing.T) {
	for name, o := range map[string]memory.Options{"compare": comparing(), "extents": extenting()} {
		r := newRig(t, o)
		r.write(7, 2<<20)
		for range 2 {
			if _, err := r.revert(r, r.request()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(r.disks.written) != 2 {
			t.Errorf("%s: written: %v", name, r.disks.written)
		}
		r.wantReverted(true)
	}
}

// TestGenericRevertGoesByTheWayThatWasChecked: what was to be compared is not left to the storage to say.
func TestGenericRevertGoesByTheWayThatWasChecked(t *testing.T) {
	r := newRig(t, extenting())
	r.store.Fail(memory.AtChanges, "vda", errPlanned)
	r.write(7)
	req := r.request()
	req.How = methods.HowCompare
	if done, err := methods.Revert(t.Context(), r, req); done.How != methods.HowCompare || err != nil {
		t.Errorf("%+v, %v", done, err)
	}
	r.wantReverted(true)
}

func TestGenericRevertThatStoppedIsFinishedByTheNext(t *testing.T) {
	for name, o := range map[string]memory.Options{"compare": comparing(), "extents": extenting()} {
		r := newRig(t, o)
		r.write(7, 1<<20, 2<<20)
		ctx, cancel := context.WithCancel(t.Context())
		req := r.request()
		req.Progress = func(_, _ int64) { cancel() }
		if _, err := methods.Revert(ctx, r, req); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the first attempt: %v", name, err)
		}
		r.wantReverted(false)
		req.Again, req.Progress = true, nil
		if _, err := methods.Revert(t.Context(), r, req); err != nil {
			t.Errorf("%s: the second attempt: %v", name, err)
		}
		r.wantReverted(true)
	}
}

func TestGenericRevertFails(t *testing.T) {
	for name, spoil := range map[string]func(*rig){
		"open":    func(r *rig) { r.store.Fail(memory.AtOpen, "vda", errPlanned) },
		"changes": func(r *rig) { r.store.Fail(memory.AtChanges, "vda", errPlanned) },
		"read":    func(r *rig) { r.disks.readError = errPlanned },
		"write":   func(r *rig) { r.store.Fail(memory.AtWrite, "vda", errPlanned) },
		"sync":    func(r *rig) { r.store.Fail(memory.AtSync, "vda", errPlanned) },
		"close":   func(r *rig) { r.disks.closeError = errPlanned },
	} {
		r := newRig(t, extenting())
		r.write(7)
		spoil(r)
		if _, err := methods.Revert(t.Context(), r, r.request()); !errors.Is(err, errPlanned) {
			t.Errorf("%s: %v", name, err)
		}
		if r.disks.open != 0 {
			t.Errorf("%s: the disk is still open", name)
		}
	}
}

func TestGenericRevertRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*rig, *methods.RevertRequest)
		want   error
	}{
		{"an active domain", func(_ *rig, req *methods.RevertRequest) { req.Disk.Domain.Active = true }, methods.ErrBlocked},
		{"a disk of another size", func(r *rig, _ *methods.RevertRequest) { r.disks.grown = 1 }, methods.ErrBlocked},
		{"a snapshot of another size", func(_ *rig, req *methods.RevertRequest) { req.To.Size-- }, methods.ErrBlocked},
		{"no snapshot", func(r *rig, req *methods.RevertRequest) { req.To = r.plan("smissing") }, methods.ErrNotFound},
		{"a snapshot that is lost", func(r *rig, _ *methods.RevertRequest) { r.store.Break(r.ref.Name) }, methods.ErrBroken},
		{"nobody to open the disk", func(_ *rig, req *methods.RevertRequest) { req.Disks = nil }, methods.ErrUnsupported},
	} {
		r := newRig(t, comparing())
		r.write(7)
		req := r.request()
		c.change(r, &req)
		if _, err := methods.CheckRevert(t.Context(), r, req); !errors.Is(err, c.want) {
			t.Errorf("check: %s: %v, want %v", c.name, err, c.want)
		}
		if _, err := methods.Revert(t.Context(), r, req); !errors.Is(err, c.want) {
			t.Errorf("revert: %s: %v, want %v", c.name, err, c.want)
		}
		if r.disks.open != 0 {
			t.Errorf("%s: the disk is still open", c.name)
		}
		r.wantUntouched()
	}
}

func TestGenericRevertReportsItsProgress(t *testing.T) {
	r := newRig(t, comparing())
	var last int64
	req := r.request()
	req.Progress = func(done, total int64) {
		if done <= last || done > total || total != size {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last = done
	}
	if _, err := methods.Revert(t.Context(), r, req); err != nil || last != size {
		t.Errorf("it ended at %d: %v", last, err)
	}
}

func TestVerifyReadsTheExtents(t *testing.T) {
	r := newRig(t, memory.Options{})
	r.write(size - 1)
	for _, c := range []struct {
		name    string
		extents []methods.Extent
		want    error
	}{
		{"nothing", nil, nil},
		{"what is the same", []methods.Extent{{Offset: 0, Length: size - 1}}, nil},
		{"what differs", []methods.Extent{{Offset: 9, Length: 1}, {Offset: size - 5, Length: 5}}, methods.ErrDiffers},
	} {
		if _, err := methods.Verify(t.Context(), r, r.request(), c.extents); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	r.wantUntouched()
	if _, err := methods.Verify(t.Context(), r, r.request(), []methods.Extent{{Offset: size, Length: 1}}); err == nil {
		t.Error("there is nothing past the end")
	}
	if read, err := methods.Verify(t.Context(), r, r.request(), methods.Whole()); read != size || !errors.Is(err, methods.ErrDiffers) {
		t.Errorf("%d bytes of %d were read: %v", read, size, err)
	}
}
