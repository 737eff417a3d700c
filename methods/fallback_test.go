package methods_test

import (
	"context"
	"errors"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
)

// six is a method with the six verbs and no other.
type six struct{ methods.Method }

func TestWhatAMethodDoesNotHave(t *testing.T) {
	r := newRig(t, memory.Options{})
	m, ctx := six{r.Method}, t.Context()
	if v := methods.VerbsOf(m); v != (methods.Verbs{}) {
		t.Errorf("it has %+v", v)
	}
	if v, err := methods.Probe(ctx, m, r.ref); v != (methods.Verbs{}) || err != nil {
		t.Errorf("it has for the disk %+v, %v", v, err)
	}
	if c := methods.ClaimDisk(ctx, m, r.disk); c.Rank != 0 {
		t.Errorf("it claims %+v", c)
	}
	if err := methods.CheckHost(ctx, m); err != nil {
		t.Errorf("it needs of the host: %v", err)
	}
	if plan, err := methods.PlanDrop(ctx, m, methods.DropRequest{Ref: r.ref}); len(plan.NeededBy)+len(plan.Renamed) > 0 || err != nil {
		t.Errorf("a drop concerns %+v, %v", plan, err)
	}
	_, source := methods.SourceOf(ctx, m, r.ref)
	_, changes := methods.Changes(ctx, m, methods.ChangesRequest{From: r.ref, Disk: r.disk})
	_, list := methods.List(ctx, m, r.disk)
	for verb, err := range map[string]error{"source": source, "changes": changes, "list": list} {
		if !errors.Is(err, methods.ErrUnsupported) {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

func TestTakeWithoutPrepareStopsAtTheFirstError(t *testing.T) {
	r := newRig(t, memory.Options{})
	first, taken, last := r.plan("stwo"), r.ref, r.plan("sthree")
	ready, err := methods.Prepare(t.Context(), six{r.Method}, []methods.Ref{first, taken, last})
	if err != nil {
		t.Fatal(err)
	}
	if err := ready.Take(t.Context()); !errors.Is(err, methods.ErrExists) {
		t.Errorf("the take: %v", err)
	}
	if r.store.Snapshot(first.Name) == nil || r.store.Snapshot(last.Name) != nil {
		t.Errorf("there is %q", r.store.Objects())
	}
	if err := ready.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// closing wants a context that has not ended.
type closing struct{ *memory.Method }

func (c closing) Prepare(ctx context.Context, refs []methods.Ref) (methods.Prepared, error) {
	ready, err := c.Method.Prepare(ctx, refs)
	return closed{ready}, err
}

type closed struct{ methods.Prepared }

func (closed) Close(ctx context.Context) error { return ctx.Err() }

func TestTakeNowClosesAlsoWhenItsContextHasEnded(t *testing.T) {
	r := newRig(t, memory.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	r.store.On(memory.AtTake, "vda", func(context.Context) error {
		cancel()
		return errPlanned
	})
	err := methods.TakeNow(ctx, closing{r.Method}, r.plan("stwo"))
	if !errors.Is(err, errPlanned) || errors.Is(err, context.Canceled) {
		t.Errorf("the take: %v", err)
	}
}

func TestExpectRevert(t *testing.T) {
	r := newRig(t, memory.Options{})
	for _, c := range []struct {
		method methods.Method
		want   methods.How
	}{
		{r.Method, methods.HowNative},
		{harmful{r.Method, true, false}, methods.HowChangedExtents},
		{memory.New(r.store, extenting()), methods.HowChangedExtents},
		{memory.New(r.store, comparing()), methods.HowCompare},
		{six{r.Method}, methods.HowCompare},
	} {
		if got, err := methods.ExpectRevert(t.Context(), c.method, r.ref); got != c.want || err != nil {
			t.Errorf("%T: %s, %v, want %s", c.method, got, err, c.want)
		}
	}
}
