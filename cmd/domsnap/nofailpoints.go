//go:build !failpoints

package main

import "context"

// withFailpoints does nothing: this program is not built for tests of crashes.
func withFailpoints(ctx context.Context) context.Context { return ctx }
