package command

import (
	"context"
	"io"
	"os"
)

type lockKey struct{}

// WithLock has each program that is run with the context hold the lock on a file, flock(2), until it ends: whoever gets the
// lock knows that none is at work any more, even if this process was killed. The file is empty and stays open as long as
// the context is used. A program has it as its standard input, which LVM's tools do not close, as they do with other files,
// and daemons do.
func WithLock(ctx context.Context, lock *os.File) context.Context {
	return context.WithValue(ctx, lockKey{}, lock)
}

// input is the locked file, or nil where there is none.
func input(ctx context.Context) io.Reader {
	if lock, ok := ctx.Value(lockKey{}).(*os.File); ok {
		return lock
	}
	return nil
}
