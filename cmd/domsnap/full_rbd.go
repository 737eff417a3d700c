//go:build rbd

package main

import "os"

// becomeFullBuild has nothing to do: this is it. It shows in ps by its name, and not by that of the file it was started
// through; where that cannot be set it does not matter.
func becomeFullBuild() error {
	_ = os.WriteFile("/proc/self/comm", []byte("domsnap"), 0)
	return nil
}
