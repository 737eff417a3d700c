package orchestrator

import (
	"context"
	"os"

	"github.com/domsnap/domsnap/methods"
)

// StartGuardian starts the process that lets the domain of this UUID go when we cannot. It inherits the lock.
type StartGuardian func(ctx context.Context, domain methods.Domain, lock *os.File) (GuardianProcess, error)

// guardian is the guardian of an operation, for all its holds. It starts while other things are done.
type guardian struct {
	ready   chan struct{}
	process GuardianProcess
	err     error
}

func (op *operation) startGuardian(ctx context.Context) {
	g, identity := &guardian{ready: make(chan struct{})}, op.identity()
	op.guardian = g
	go func() {
		defer close(g.ready)
		g.process, g.err = op.Guardian(ctx, identity, op.lockFile)
	}()
}

// guarded is the guardian, when it is ready.
func (op *operation) guarded(ctx context.Context) (GuardianProcess, error) {
	if op.guardian == nil {
		op.startGuardian(ctx)
	}
	<-op.guardian.ready
	return op.guardian.process, op.guardian.err
}

// dismiss ends the guardian, if there is one.
func (g *guardian) dismiss() error {
	if g == nil {
		return nil
	}
	<-g.ready
	if g.err != nil {
		return nil
	}
	return g.process.Dismiss()
}
