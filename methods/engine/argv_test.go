package engine

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/domsnap/domsnap/integration/argv"
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

var safeEngine = regexp.MustCompile(`\A[a-z][a-z0-9-]{0,31}\z`)

// TestHostileNamesInRequests: whatever things are called, an engine reads the same on one line, or is not asked.
func TestHostileNamesInRequests(t *testing.T) {
	for name := range argv.Names(100_000) {
		ref := methods.Ref{Snapshot: name, Method: name, Origin: name, Name: name, Active: name, Disk: methods.Disk{
			Domain: methods.Domain{Name: name}, Target: name, Source: methods.Source{File: name}, Format: name, Serial: name}}
		line, err := command.JSON(request{1, "take", refsParams{[]methods.Ref{ref}}})
		if (err == nil) != utf8.ValidString(name) {
			t.Fatalf("%q: %v", name, err)
		}
		if err != nil {
			continue
		}
		var read struct{ Params struct{ Refs []methods.Ref } }
		if err := json.Unmarshal(line, &read); err != nil || bytes.ContainsAny(line, "\n\x00") {
			t.Fatalf("%q: %v", line, err)
		}
		if got := read.Params.Refs; len(got) != 1 || got[0] != ref {
			t.Fatalf("%+v is read as %+v", ref, got)
		}
	}
}

// TestHostileNamesOfEngines: a file that has no method's name is shown and not run.
func TestHostileNamesOfEngines(t *testing.T) {
	for name := range argv.Names(100_000) {
		f := examine("/no/such/"+Prefix+name, name, []string{"lvm"})
		if f.Refused == nil {
			t.Fatalf("%q is run", f.Path)
		}
		if f.Name == name && (!safeEngine.MatchString(name) || name == "lvm") || strings.ContainsAny(f.Name, "\x00\x1b\u202e") {
			t.Fatalf("%q is shown as %q", name, f.Name)
		}
	}
}
