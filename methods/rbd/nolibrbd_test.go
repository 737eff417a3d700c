//go:build !rbd

package rbd

import (
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func TestWithoutLibrbd(t *testing.T) {
	s := newStage(t)
	m := New()
	wantError(t, m.Check(t.Context()), methods.ErrUnsupported)
	_, err := m.Plan(t.Context(), methods.PlanRequest{Disk: s.disk, ID: "aaaa"})
	wantError(t, err, methods.ErrUnsupported)
	if m.Claim(t.Context(), s.disk).Rank != methods.RankOnly {
		t.Fatal("it does not know its disks")
	}
}
