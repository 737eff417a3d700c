package virt

import (
	"errors"
	"testing"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/orchestrator"
)

// TestReadOnlyConnectionIsRefused: nothing is written through it, and the error says whose business that is.
func TestReadOnlyConnectionIsRefused(t *testing.T) {
	conn, err := libvirt.NewConnectReadOnly("test:///default")
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{conn: conn}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	d, err := h.Domain(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	err = d.SetMetadata(t.Context(), "<lineage/>")
	var problem *orchestrator.Problem
	if !errors.As(err, &problem) || !errors.Is(err, orchestrator.ErrRefused) || problem.Hint == "" {
		t.Errorf("it says %v", err)
	}
	for name, act := range map[string]error{
		"start": d.Start(t.Context(), false), "power off": d.PowerOff(t.Context()), "pause": d.Pause(t.Context()),
	} {
		if act == nil {
			t.Errorf("%s is allowed", name)
		}
	}
	if text, err := d.Metadata(t.Context()); err != nil || text != "" {
		t.Errorf("it wrote %q, %v", text, err)
	}
}
