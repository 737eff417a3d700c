package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestWhatIsNotThereIsHintedAt: where names come from is said with the one that was wrong.
func TestWhatIsNotThereIsHintedAt(t *testing.T) {
	for line, hint := range map[string]string{
		"snapshot-list none":             "domsnap domains",
		"snapshot-info test none":        "domsnap snapshot-list test",
		"snapshot-list test -c none:///": "--connect",
	} {
		var out, said bytes.Buffer
		ui := &ui{out: &out, err: &said}
		app := newApp(ui)
		args := strings.Fields("domsnap --state-dir " + t.TempDir() + " -c " + testHypervisor + " " + line)
		ui.finish(app.RunContext(t.Context(), permute(app, args)))
		if _, got, _ := strings.Cut(said.String(), "\nhint: "); !strings.Contains(got, hint) {
			t.Errorf("%q: it said %q", line, said.String())
		}
	}
}
