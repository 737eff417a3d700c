package qemu_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/methodtest"
	"github.com/domsnap/domsnap/methods/qemu"
)

// TestHostileImages: an image that names other files is not snapshotted; a raw disk is, whatever it looks like, and its
// content does not become a header.
func TestHostileImages(t *testing.T) {
	canary := methodtest.NewCanary(t, 1<<20)
	for _, h := range methodtest.HostileImages(t, canary) {
		if h.Name == "a table of a petabyte" {
			continue // it names nobody; TestHugeImageIsSoonDoneWith
		}
		t.Run(h.Name, func(t *testing.T) {
			start := time.Now()
			fake := &fakeHypervisor{active: map[string]qemu.Image{"vda": {Path: h.Disk.Source.File, Format: h.Disk.Format}}}
			m, inside := qemu.New(fake, command.Host{}), qemu.NewInternal(nil, command.Host{})
			req := methods.PlanRequest{Disk: h.Disk, ID: "sone"}
			if ref, err := inside.Plan(t.Context(), req); err == nil {
				t.Errorf("it is planned inside as %+v", ref)
			}
			ref, err := m.Plan(t.Context(), req)
			if err == nil {
				err = m.Take(t.Context(), ref)
			}
			if (err == nil) != (h.Disk.Format == "raw") {
				t.Fatalf("it ended with %v", err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			if err == nil {
				wantRawBase(t, ref)
			}
		})
	}
	canary.Check()
}

// wantRawBase: the overlay says that what is below it is raw.
func wantRawBase(t *testing.T, ref methods.Ref) {
	t.Helper()
	out, err := command.Host{}.Run(t.Context(), "qemu-img", "info", "--output=json", "-f", "qcow2", ref.Active)
	if err != nil {
		t.Fatal(err)
	}
	if got := field(t, out, "backing-filename-format"); got != "raw" {
		t.Errorf("the base of the overlay has the format %q", got)
	}
}

// TestHugeImageIsSoonDoneWith: a header may say anything of its size.
func TestHugeImageIsSoonDoneWith(t *testing.T) {
	for _, h := range methodtest.HostileImages(t, methodtest.NewCanary(t, 1)) {
		if h.Name != "a table of a petabyte" {
			continue
		}
		start := time.Now()
		_, _ = qemu.New(nil, command.Host{}).Plan(t.Context(), methods.PlanRequest{Disk: h.Disk, ID: "sone"})
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		return
	}
	t.Error("there is no such image")
}

func field(t *testing.T, document []byte, key string) string {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(document, &all); err != nil {
		t.Fatal(err)
	}
	text, _ := all[key].(string)
	return text
}
