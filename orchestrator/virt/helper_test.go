package virt

import (
	"context"
	"testing"

	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/quiesce/quiescetest"
)

// hold runs act in a window on the guest.
func hold(t *testing.T, g quiesce.Guest, act func() error) (quiesce.Report, error) {
	t.Helper()
	guardian := &quiescetest.Guardian{Log: &quiescetest.Log{}}
	options := quiesce.Options{Policy: quiesce.Try, Guardian: guardian}
	return quiesce.Within(t.Context(), g, options, func(context.Context) error { return act() })
}

// cancelled is a context that has ended.
func cancelled(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}
