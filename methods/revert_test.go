package methods_test

import (
	"context"
	"errors"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
)

// unsupporting has a revert that it takes back when it is asked for.
type unsupporting struct {
	*memory.Method
	checked bool
}

func (u unsupporting) CheckRevert(ctx context.Context, req methods.RevertRequest) error {
	if u.checked {
		return methods.Unsupportedf("not this one")
	}
	return u.Method.CheckRevert(ctx, req)
}

func (unsupporting) Revert(context.Context, methods.RevertRequest) (methods.Reverted, error) {
	return methods.Reverted{}, methods.Unsupportedf("not this one")
}

// harmful has a revert that costs snapshots.
type harmful struct {
	*memory.Method
	consumes, drops bool
}

func (h harmful) Traits() methods.Traits {
	t := h.Method.Traits()
	t.RevertConsumes, t.RevertDropsYounger = h.consumes, h.drops
	return t
}

func without(v methods.Verbs) memory.Options { return memory.Options{Without: v} }

func TestCheckRevertChoosesTheWay(t *testing.T) {
	r := newRig(t, memory.Options{})
	bare := newRig(t, without(methods.Verbs{Revert: true, Changes: true}))
	listing := newRig(t, without(methods.Verbs{Revert: true}))
	other := []methods.Ref{r.taken("stwo")}
	for _, c := range []struct {
		name   string
		method methods.Method
		rig    *rig
		others []methods.Ref
		want   methods.How
	}{
		{"its own", r, r, other, methods.HowNative},
		{"no revert", listing, listing, nil, methods.HowChangedExtents},
		{"nothing", bare, bare, nil, methods.HowCompare},
		{"not for this snapshot", unsupporting{r.Method, true}, r, nil, methods.HowChangedExtents},
		{"consumes", harmful{r.Method, true, false}, r, nil, methods.HowChangedExtents},
		{"drops younger, and there are none", harmful{r.Method, false, true}, r, nil, methods.HowNative},
		{"drops younger", harmful{r.Method, false, true}, r, other, methods.HowChangedExtents},
	} {
		req := c.rig.request()
		req.Others = c.others
		if got, err := methods.CheckRevert(t.Context(), c.method, req); got != c.want || err != nil {
			t.Errorf("%s: %s, %v, want %s", c.name, got, err, c.want)
		}
		c.rig.write(5, size-1)
		if done, err := c.rig.revert(c.method, req); done.How != c.want || err != nil {
			t.Errorf("%s: reverted by %s, %v, want %s", c.name, done.How, err, c.want)
		}
		c.rig.wantReverted(true)
	}
}

func TestNativeRevertThatStopsIsNotFollowedByTheGenericOne(t *testing.T) {
	r := newRig(t, memory.Options{})
	r.write(5, size-1)
	r.store.Fail(memory.MidRevert, "vda", errPlanned)
	if _, err := r.revert(r, r.request()); !errors.Is(err, errPlanned) {
		t.Errorf("the revert: %v", err)
	}
	r.wantReverted(false)
	r.wantUntouched()
}

// wantUntouched wants the disk not to have been written through Disks.
func (r *rig) wantUntouched() {
	r.t.Helper()
	if len(r.disks.written) > 0 {
		r.t.Errorf("the generic revert wrote %v", r.disks.written)
	}
}

func TestUnsupportedNativeRevertIsFollowedByTheGenericOne(t *testing.T) {
	r := newRig(t, memory.Options{})
	r.write(5)
	done, err := r.revert(unsupporting{r.Method, false}, r.request())
	if done.How != methods.HowChangedExtents || err != nil {
		t.Errorf("reverted by %s: %v", done.How, err)
	}
	r.wantReverted(true)
}

func TestNativeRevertStaysNative(t *testing.T) {
	keep := func(r *rig) *methods.Ref { ref := r.plan("skept"); return &ref }
	for name, change := range map[string]func(*rig, *methods.RevertRequest){
		"an attempt may have got anywhere":   func(_ *rig, req *methods.RevertRequest) { req.Again = true },
		"nobody else would keep the present": func(r *rig, req *methods.RevertRequest) { req.Keep = keep(r) },
	} {
		r := newRig(t, memory.Options{})
		r.write(5)
		req := r.request()
		req.How = methods.HowNative
		change(r, &req)
		if _, err := methods.Revert(t.Context(), unsupporting{r.Method, false}, req); !errors.Is(err, methods.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
		r.wantReverted(false)
		r.wantUntouched()
	}
}

func TestRecordedNativeRevertOfAMethodThatHasNoneAnyMore(t *testing.T) {
	r := newRig(t, without(methods.Verbs{Revert: true}))
	r.write(5)
	req := r.request()
	req.How, req.Again = methods.HowNative, true
	if _, err := methods.Revert(t.Context(), r.Method, req); !errors.Is(err, methods.ErrUnsupported) {
		t.Errorf("an attempt may have got anywhere: %v", err)
	}
	r.wantReverted(false)
}

func TestPlanSafety(t *testing.T) {
	r := newRig(t, memory.Options{})
	req := methods.PlanRequest{Disk: r.disk, ID: "skept"}
	for _, c := range []struct {
		method methods.Method
		how    methods.How
		want   bool
	}{
		{memory.Keeping{Method: r.Method}, methods.HowNative, true},
		{memory.Keeping{Method: r.Method}, methods.HowCompare, false},
		{r.Method, methods.HowNative, false},
	} {
		ref, byRevert, err := methods.PlanSafety(t.Context(), c.method, c.how, req)
		if ref.Snapshot != "skept" || byRevert != c.want || err != nil {
			t.Errorf("%T by %s: %+v, %t, %v", c.method, c.how, ref, byRevert, err)
		}
	}
}
