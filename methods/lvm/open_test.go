package lvm

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

// openCase is a snapshot of a volume, and what is on it. The device is larger than the disk.
func openCase(t *testing.T, volume string) (*fakeLVM, *Method, methods.Ref) {
	t.Helper()
	f, m := newFake(t)
	f.volumes[volume].size = 5000
	ref := f.take(t, volume, "first")
	f.device(t, "vg/ds-first-vda", bytes.Repeat([]byte{'a'}, 8192))
	f.calls = nil
	return f, m, ref
}

func mustOpen(t *testing.T, m *Method, ref methods.Ref) methods.Content {
	t.Helper()
	c, err := m.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpen(t *testing.T) {
	for _, volume := range []string{"thin", "thick"} {
		f, m, ref := openCase(t, volume)
		before := f.volumes["ds-first-vda"].active
		c := mustOpen(t, m, ref)
		got, err := io.ReadAll(io.NewSectionReader(c, 0, 1<<20))
		if err != nil || c.Size() != 5000 || !bytes.Equal(got, bytes.Repeat([]byte{'a'}, 5000)) {
			t.Errorf("%s: %d bytes of %d, %v", volume, len(got), c.Size(), err)
		}
		if !f.volumes["ds-first-vda"].active {
			t.Errorf("%s: not active while open", volume)
		}
		if err := c.Close(); err != nil || f.volumes["ds-first-vda"].active != before {
			t.Errorf("%s: active %t, %v", volume, !before, err)
		}
		f.checkArgs(t)
	}
}

func TestOpenTwice(t *testing.T) {
	f, m, ref := openCase(t, "thin")
	v := f.volumes["ds-first-vda"]
	first, second := mustOpen(t, m, ref), mustOpen(t, m, ref)
	if err := first.Close(); err != nil || !v.active {
		t.Errorf("one reader's end is the other's: %v", err)
	}
	_ = first.Close()
	if !v.active {
		t.Error("a second Close counts")
	}
	third := mustOpen(t, m, ref)
	if err := errors.Join(second.Close(), third.Close()); err != nil || v.active {
		t.Errorf("still active, %v", err)
	}
}

func TestOpenLeavesActiveWhatWas(t *testing.T) {
	f, m, ref := openCase(t, "thin")
	v := f.volumes["ds-first-vda"]
	v.active = true
	if err := mustOpen(t, m, ref).Close(); err != nil || !v.active || f.count != 1 {
		t.Errorf("active %t, %v", v.active, err)
	}
}

func TestCloseBesideAnotherReader(t *testing.T) {
	f, m, ref := openCase(t, "thin")
	c := mustOpen(t, m, ref)
	f.volumes["ds-first-vda"].open = true
	if err := c.Close(); err != nil || !f.volumes["ds-first-vda"].active {
		t.Errorf("another process reads: %v", err)
	}
	f.volumes["ds-first-vda"].open = false
	f.volumes["ds-first-vda"].active = false
	c = mustOpen(t, m, ref)
	f.refuse = "lvchange"
	if err := c.Close(); err == nil {
		t.Error("nobody reads, it stays active, and that is no error")
	}
}

func TestOpenRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		set  func(*testing.T, *fakeLVM)
		want error
	}{
		"gone":    {func(_ *testing.T, f *fakeLVM) { delete(f.volumes, "ds-first-vda") }, methods.ErrNotFound},
		"invalid": {func(_ *testing.T, f *fakeLVM) { f.volumes["ds-first-vda"].invalid = true }, methods.ErrBroken},
		"half":    {func(_ *testing.T, f *fakeLVM) { f.volumes["ds-first-vda"].origin = "" }, methods.ErrNotFound},
		"short":   {func(t *testing.T, f *fakeLVM) { f.device(t, "vg/ds-first-vda", make([]byte, 4096)) }, methods.ErrBlocked},
	} {
		f, m, ref := openCase(t, "thick")
		c.set(t, f)
		if _, err := m.Open(t.Context(), ref); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestOpenFailureDeactivates(t *testing.T) {
	f, m, ref := openCase(t, "thin")
	f.device(t, "vg/ds-first-vda", nil)
	if _, err := m.Open(t.Context(), ref); err == nil || f.volumes["ds-first-vda"].active {
		t.Errorf("active %t, %v", f.volumes["ds-first-vda"].active, err)
	}
}
