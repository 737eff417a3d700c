package image

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/domsnap/domsnap/integration/argv"
	"github.com/domsnap/domsnap/methods"
)

// node is what QEMU reads of a json: name.
type node struct {
	Driver string `json:"driver"`
	Share  bool   `json:"force-share"`
	File   struct {
		Driver   string `json:"driver"`
		Filename string `json:"filename"`
		Pool     string `json:"pool"`
		Space    string `json:"namespace"`
		Image    string `json:"image"`
		User     string `json:"user"`
		Conf     string `json:"conf"`
		Export   string `json:"export"`
		Server   any    `json:"server"`
	} `json:"file"`
}

// TestHostileNamesAreWordsOfOneNode: whatever a source is called, QEMU finds it in its place, and nothing beside it.
func TestHostileNamesAreWordsOfOneNode(t *testing.T) {
	named := 0
	for name := range argv.Names(20_000) {
		for _, s := range []methods.Source{
			{File: name}, {Dev: "/" + name}, {RBD: &methods.RBDImage{Pool: name, Image: name, Namespace: name, User: name, Config: name, Monitors: []string{name}}},
			{Network: &methods.NetworkSource{Protocol: "nbd", Name: name, Host: name, Port: name}}, {Network: &methods.NetworkSource{Protocol: name, Host: name}},
		} {
			text, err := Image{Source: s, Format: "raw"}.QEMUName(t.Context(), true)
			if err != nil {
				continue
			}
			named++
			checkNode(t, s, text, name)
			checkServer(t, text, name)
		}
		if t.Failed() {
			t.Fatalf("by %q", name)
		}
	}
	if named < 40_000 {
		t.Errorf("only %d names were made", named)
	}
}

func checkNode(t *testing.T, s methods.Source, text, name string) {
	t.Helper()
	var n node
	body, ok := strings.CutPrefix(text, "json:")
	if err := json.Unmarshal([]byte(body), &n); err != nil || !ok || strings.ContainsAny(text, "\x00\n") || !utf8.ValidString(text) {
		t.Fatalf("%q: %v", text, err)
	}
	want := node{Driver: "raw", Share: true}
	want.File.Driver, want.File.Server = n.File.Driver, n.File.Server
	switch {
	case s.Path() != "":
		want.File.Filename = s.Path()
		ok = filepath.IsAbs(s.Path()) && n.File.Driver == "file" || n.File.Driver == "host_device"
	case s.RBD != nil:
		want.File.Pool, want.File.Image, want.File.Space, want.File.User, want.File.Conf = name, name, name, name, name
		ok = n.File.Driver == "rbd"
	default:
		want.File.Export = name
		ok = n.File.Driver == "nbd"
	}
	got, _ := json.Marshal(n)
	if wanted, _ := json.Marshal(want); !ok || string(got) != string(wanted) {
		t.Errorf("%s, want %s", got, wanted)
	}
}

// checkServer looks at how qemu-nbd is run.
func checkServer(t *testing.T, text, name string) {
	t.Helper()
	g := argv.Grammar{Bare: []string{"--read-only"}, Valued: []string{"--cache", "--discard", "--detect-zeroes", "--load-snapshot"}}
	for _, mode := range []int{os.O_RDONLY, os.O_RDWR} {
		c, err := g.Parse(qemuNBD, Image{Snapshot: name}.arguments(text, mode))
		if err != nil || len(c.Rest) != 1 || c.Rest[0] != text || (len(c.Options["--read-only"]) == 1) != (mode == os.O_RDONLY) {
			t.Errorf("%+v, %v", c, err)
		}
		if snapshots := c.Options["--load-snapshot"]; name != "" && (len(snapshots) != 1 || commas(snapshots[0]) != "snapshot.name="+name) {
			t.Errorf("the snapshot %q is %q", name, snapshots)
		}
	}
}

// commas is QEMU's option of one KEY=VALUE, or empty if it has more.
func commas(text string) string {
	if strings.Contains(strings.ReplaceAll(text, ",,", ""), ",") {
		return ""
	}
	return strings.ReplaceAll(text, ",,", ",")
}
