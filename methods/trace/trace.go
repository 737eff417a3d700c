// Package trace tells of acts on the outside world, one by one as they happen: a program that is run, a call that
// changes a domain, a write to a storage. Who listens sees each point at which a process may end and leave an act
// undone, half done or done.
package trace

import "context"

// Listener is told of an act before it begins and after it has ended, well or not. It is called from the goroutine that
// acts, which waits for it, and so from several at once.
type Listener func(act string, ended bool)

type key struct{}

// With has everything that is done with the context told to the listener.
func With(ctx context.Context, l Listener) context.Context {
	return context.WithValue(ctx, key{}, l)
}

// Do acts, and tells of it if somebody listens.
func Do(ctx context.Context, act string, do func() error) error {
	l, ok := ctx.Value(key{}).(Listener)
	if !ok {
		return do()
	}
	l(act, false)
	defer l(act, true)
	return do()
}
