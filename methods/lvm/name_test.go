package lvm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func TestMapped(t *testing.T) {
	for mapped, want := range map[string]name{
		"vg0-lv4":                {"vg0", "lv4"},
		"vg--0-a--b---":          {},
		"vg--0-a--b":             {"vg-0", "a-b"},
		"vg0-ds--first--vda":     {"vg0", "ds-first-vda"},
		"vg0-ds--first--vda-cow": {},
		"control":                {},
		"vg0---rf":               {"vg0-", "rf"},
		"vg0--rf":                {},
		"-vg0-lv":                {},
		"":                       {},
	} {
		got, err := parseMapped(mapped)
		if got != want || (err == nil) != (want != name{}) {
			t.Errorf("%q: %v, %v", mapped, got, err)
		}
		if err == nil && got.mapped() != mapped {
			t.Errorf("%q: back to %q", mapped, got.mapped())
		}
	}
}

var hostile = []string{"", "/", "-rf", "vg/-rf", "--force/lv", "vg/..", "../lv", "vg/a b", "vg/a\nb", "vg/a;b", "vg/lv/x", "@tag",
	"vg/$(x)", "vg/a'b", "vg/\x00", "vg/" + strings.Repeat("a", 128), strings.Repeat("a", 128) + "/lv"}

func TestHostileNames(t *testing.T) {
	for _, s := range hostile {
		if n, err := parseName(s); err == nil {
			t.Errorf("%q is taken for %v", s, n)
		}
	}
}

// TestHostileRefs: a record that anybody changed must not reach a command.
func TestHostileRefs(t *testing.T) {
	f, m := newFake(t)
	good := f.plan(t, "thin", "first")
	f.calls = nil
	for _, s := range append(hostile, "vg/thin", "other/ds-first-vda", "vg/ds-other-vda") {
		for _, change := range []func(*methods.Ref){
			func(r *methods.Ref) { r.Name = s },
			func(r *methods.Ref) { r.Snapshot = s },
			func(r *methods.Ref) { r.Disk.Target = s },
			func(r *methods.Ref) { r.Mode = s },
		} {
			ref := good
			change(&ref)
			if err := m.Drop(t.Context(), methods.DropRequest{Ref: ref}); err == nil {
				t.Errorf("dropped %+v", ref)
			}
		}
	}
	if len(f.calls) != 0 {
		t.Errorf("ran %q", f.calls)
	}
}

func TestHostileTagsAreLeftOut(t *testing.T) {
	ref := methods.Ref{Snapshot: "first", Disk: methods.Disk{Domain: methods.Domain{UUID: "-rf --force"}}}
	if got := tags(ref); len(got) != 1 {
		t.Errorf("got %q", got)
	}
	if got := flagged("--addtag", []string{"-x", "a b", "", "ok"}); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}

// kernelDevice puts a device-mapper device into a sysfs of the test's own.
func kernelDevice(t *testing.T, m *Method, mapped, uuid string) {
	t.Helper()
	m.sys = t.TempDir()
	m.number = func(string) (string, error) { return "254:7", nil }
	dir := filepath.Join(m.sys, "dev/block/254:7/dm")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"name": mapped, "uuid": uuid} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestResolveAsksTheKernel(t *testing.T) {
	const uuid = "LVM-0123456789abcdef0123456789abcdefABCDEF0123456789ABCDEF0123456789"
	for id, ok := range map[string]bool{uuid: true, uuid + "-real": false, uuid + "-cow": false, "CRYPT-LUKS2-x": false, "": false} {
		_, m := newFake(t)
		kernelDevice(t, m, "vg-thin", id)
		got, err := m.resolve("/dev/dm-7")
		if ok && (err != nil || got != name{"vg", "thin"}) {
			t.Errorf("%q: %v, %v", id, got, err)
		}
		if !ok && !errors.Is(err, methods.ErrUnsupported) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestByName(t *testing.T) {
	_, m := newFake(t)
	dir := t.TempDir()
	link := func(to, from string) string {
		path := filepath.Join(dir, from)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	want := name{"vg", "a-b"}
	for path, ok := range map[string]bool{
		m.dev + "/vg/a-b":                          true,
		m.dev + "/mapper/vg-a--b":                  true,
		m.dev + "/disk/by-id/dm-name-vg-a--b":      true,
		link(m.dev+"/vg/a-b", "named"):             true,
		link("named", "twice"):                     true,
		link(m.dev+"/dm-7", "numbered"):            false,
		link("loop", "loop"):                       false,
		m.dev + "/dm-7":                            false,
		m.dev + "/disk/by-id/dm-uuid-LVM-whatever": false,
		m.dev + "/vg/other":                        false,
	} {
		if m.byName(path, want) != ok {
			t.Errorf("%s: want %t", path, ok)
		}
	}
}

func TestClaim(t *testing.T) {
	f, m := newFake(t)
	if c := m.Claim(t.Context(), fakeDisk(f, "thin")); c.Rank != methods.RankOnly || c.Why != "a logical volume (thin)" {
		t.Errorf("thin: %+v", c)
	}
	if c := m.Claim(t.Context(), fakeDisk(f, "thick")); c.Why != "a logical volume (thick)" {
		t.Errorf("thick: %+v", c)
	}
	f.calls = nil
	f.device(t, "disk.img", nil)
	for _, s := range []methods.Source{{}, {File: f.dev + "/disk.img"}, {File: "/nowhere/disk.img"}, {Other: "nbd"}} {
		if c := m.Claim(t.Context(), methods.Disk{Source: s}); c.Rank != 0 {
			t.Errorf("%s: %+v", s, c)
		}
	}
	if len(f.calls) != 0 {
		t.Errorf("ran %q for files", f.calls)
	}
}
