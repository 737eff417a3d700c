package orchestrator

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// transcript records the order of things that happen side by side.
type transcript struct {
	mu    sync.Mutex
	lines []string
}

func (l *transcript) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

// step takes a second.
func (l *transcript) step(name, lock string) step {
	return step{name: name, lock: lock, do: func(context.Context) error {
		l.add("begin " + name)
		time.Sleep(time.Second)
		l.add("end " + name)
		return nil
	}}
}

func quiet() *runner { return &runner{watch: func(Event) {}} }

func TestStepsOfOneLockRunInTheirOrderAndTheOthersBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, start := &transcript{}, time.Now()
		steps := []step{log.step("a1", "a"), log.step("b1", "b"), log.step("a2", "a"), log.step("free", "")}
		if err := quiet().together(t.Context(), steps); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("it took %s", took)
		}
		if slices.Index(log.lines, "end a1") > slices.Index(log.lines, "begin a2") {
			t.Errorf("the lock was not held: %q", log.lines)
		}
	})
}

func TestTogetherWaitsForAllAndJoinsTheErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, first, second := &transcript{}, errors.New("first"), errors.New("second")
		fail := func(err error) step {
			return step{name: "fail", do: func(context.Context) error { return err }}
		}
		err := quiet().together(t.Context(), []step{fail(first), log.step("slow", ""), fail(second)})
		if !errors.Is(err, first) || !errors.Is(err, second) || !slices.Contains(log.lines, "end slow") {
			t.Errorf("it ended with %v after %q", err, log.lines)
		}
	})
}

func TestNothingBeginsOnceTheContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	log := &transcript{}
	stop := step{name: "stop", do: func(context.Context) error { cancel(); return nil }}
	if err := quiet().run(ctx, stop, log.step("next", "")); !errors.Is(err, context.Canceled) || len(log.lines) > 0 {
		t.Errorf("it ended with %v after %q", err, log.lines)
	}
}

func TestUndoGoesBackwardsAndOnAfterAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	log, planned, r := &transcript{}, errors.New("planned"), quiet()
	undoing := func(name string, err error) step {
		return step{
			name: name, do: func(context.Context) error { return nil },
			undo: func(ctx context.Context) error {
				log.add(name)
				return errors.Join(err, ctx.Err())
			},
		}
	}
	failing := step{name: "last", do: func(context.Context) error { return planned }, undo: undoing("last", nil).undo}
	if err := r.run(ctx, undoing("one", nil), undoing("two", planned), failing); !errors.Is(err, planned) {
		t.Fatal(err)
	}
	cancel()
	err := r.undo(ctx)
	if !errors.Is(err, planned) || errors.Is(err, context.Canceled) {
		t.Errorf("undo ended with %v", err)
	}
	if want := []string{"last", "two", "one"}; !slices.Equal(log.lines, want) {
		t.Errorf("it undid %q, want %q", log.lines, want)
	}
	if err := r.undo(ctx); err != nil || len(log.lines) != 3 {
		t.Errorf("the second undo did %q, %v", log.lines[3:], err)
	}
}

func TestUndoDoesNotGoOnWithAHypervisorThatDoesNotAnswer(t *testing.T) {
	log, r := &transcript{}, quiet()
	undoing := func(name string, err error) step {
		return step{
			name: name, do: func(context.Context) error { return nil },
			undo: func(context.Context) error { log.add(name); return err },
		}
	}
	silent := &Problem{Kind: ErrNoAnswer, Err: errors.New("no answer")}
	if err := r.run(t.Context(), undoing("one", nil), undoing("two", silent), undoing("three", nil)); err != nil {
		t.Fatal(err)
	}
	if err := r.undo(t.Context()); !errors.Is(err, ErrNoAnswer) || !slices.Equal(log.lines, []string{"three", "two"}) {
		t.Errorf("it ended with %v after %q", err, log.lines)
	}
}

func TestEachStepIsToldWhenItBeginsAndWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []Event
		r := &runner{watch: func(e Event) { events = append(events, e) }}
		if err := r.run(t.Context(), (&transcript{}).step("one", "")); err != nil {
			t.Fatal(err)
		}
		want := []Event{{Step: "one"}, {Step: "one", Done: true, Took: time.Second}}
		if !slices.Equal(events, want) {
			t.Errorf("it told %+v, want %+v", events, want)
		}
	})
}

func TestIDsAreSafeEverywhereAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newID()
		if len(id) != 10 || id[0] != 's' || seen[id] {
			t.Fatalf("the id %q", id)
		}
		seen[id] = true
	}
}
