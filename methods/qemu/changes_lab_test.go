//go:build lab

package qemu_test

import "testing"

// TestLabChangesMissNothing is the test of the same name with the lab's QEMU.
func TestLabChangesMissNothing(t *testing.T) {
	for seed := range uint64(2) {
		growAndCompare(t, 100+seed, 5)
	}
}
