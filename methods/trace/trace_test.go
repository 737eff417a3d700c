package trace_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/methods/trace"
)

func TestActsAreToldBeforeAndAfter(t *testing.T) {
	var told []string
	listener := func(act string, ended bool) {
		if ended {
			act = "ended " + act
		}
		told = append(told, act)
	}
	ctx, failure := trace.With(t.Context(), listener), errors.New("no")
	err := trace.Do(ctx, "write", func() error {
		told = append(told, "does it")
		return failure
	})
	if !errors.Is(err, failure) {
		t.Error(err)
	}
	if want := []string{"write", "does it", "ended write"}; !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
}

func TestNobodyHasToListen(t *testing.T) {
	done := false
	err := trace.Do(context.Background(), "write", func() error { done = true; return nil })
	if err != nil || !done {
		t.Error(done, err)
	}
}
