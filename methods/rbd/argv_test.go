package rbd

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/argv"
	"github.com/domsnap/domsnap/methods"
)

// token is the text up to a delimiter, as QEMU's rbd driver reads it: a backslash takes any meaning from what follows.
func token(text string, delimiter byte) (found, rest string) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == delimiter:
			return b.String(), text[i+1:]
		case text[i] == '\\' && i+1 < len(text):
			i++
			fallthrough
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), ""
}

// parseURI is what QEMU makes of rbd:POOL/IMAGE@SNAP:KEY=VALUE:...
func parseURI(text string) (pool, image, snap string, options map[string]string) {
	rest, options := strings.TrimPrefix(text, "rbd:"), map[string]string{}
	pool, rest = token(rest, '/')
	image, rest = token(rest, '@')
	snap, rest = token(rest, ':')
	for rest != "" {
		var key string
		key, rest = token(rest, '=')
		options[key], rest = token(rest, ':')
	}
	return pool, image, snap, options
}

// TestHostileNamesOfImages: whatever an image, its pool and how to reach it are called, librados and QEMU get just these,
// or there is an error before anybody is asked.
func TestHostileNamesOfImages(t *testing.T) {
	m, named := New(), 0
	for name := range argv.Names(30_000) {
		for _, image := range []methods.RBDImage{
			{Pool: name, Image: "i"}, {Pool: "p", Image: name}, {Pool: "p", Namespace: name, Image: "i"}, {Pool: "p", Image: "i", User: name},
			{Pool: "p", Image: "i", Config: name}, {Pool: "p", Image: "i", Config: "/etc/" + name}, {Pool: "p", Image: "i", Monitors: []string{name, "h:1"}},
		} {
			disk := methods.Disk{Target: "vda", Source: methods.Source{RBD: &image}}
			p, err := m.place(methods.PlanRequest{ID: "sone", Disk: disk})
			if err != nil {
				continue
			}
			named++
			checkPlace(t, p, image)
			if r, err := recorded(methods.Ref{Snapshot: "sone", Origin: p.RBDImage.String(), Name: p.String(), Disk: disk}); err != nil || r.String() != p.String() {
				t.Errorf("%q is recorded as %q, %v", p, r, err)
			}
		}
		if _, err := m.place(methods.PlanRequest{ID: "sone", Disk: methods.Disk{Target: "vda", Source: methods.Source{Dev: name}}}); err == nil {
			t.Errorf("%q is a device", name)
		}
		if t.Failed() {
			t.Fatalf("by %q", name)
		}
	}
	if named < 100_000 {
		t.Errorf("only %d images were named", named)
	}
}

func checkPlace(t *testing.T, p place, want methods.RBDImage) {
	t.Helper()
	for _, text := range append([]string{p.Pool, p.Namespace, p.Image, p.User, p.Config}, p.Monitors...) {
		if strings.ContainsAny(text, "\x00\n") {
			t.Errorf("librados would be told %q", text)
		}
	}
	if strings.ContainsAny(p.Config, ", ;\t") || p.Config != "" && !filepath.IsAbs(p.Config) {
		t.Errorf("librados would read the files %q", p.Config)
	}
	options := map[string]string{}
	for key, value := range map[string]string{"id": want.User, "conf": want.Config, "mon_host": strings.Join(want.Monitors, ",")} {
		if value != "" {
			options[key] = value
		}
	}
	name := want.Image
	if want.Namespace != "" {
		name = want.Namespace + "/" + want.Image
	}
	pool, image, snap, found := parseURI(uri(p))
	if pool != want.Pool || image != name || snap != "ds-sone-vda" || !maps.Equal(found, options) {
		t.Errorf("%q is %q, %q, %q, %q", uri(p), pool, image, snap, found)
	}
}
