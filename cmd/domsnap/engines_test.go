package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/orchestrator"
)

func TestEnginesAreShownWithTheMethods(t *testing.T) {
	dir := t.TempDir()
	example, err := os.ReadFile("../../methods/engine/example/domsnap-method-chunks")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"chunks", "lvm"} {
		if err := os.WriteFile(filepath.Join(dir, "domsnap-method-"+name), example, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	got := invoke(t, "methods", "-o", "json", "--engine-dir", dir)
	var list []orchestrator.MethodReport
	if err := json.Unmarshal([]byte(got.out), &list); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	needs, works := map[string]string{}, map[string]bool{}
	for _, m := range list {
		needs[m.Name], works[m.Name] = m.Needs, m.Works
	}
	if works["chunks"] || !strings.Contains(needs["chunks"], "may write to") {
		t.Errorf("chunks: works %t, needs %q", works["chunks"], needs["chunks"])
	}
	if !strings.Contains(needs["domsnap-method-lvm"], "another method called lvm") || strings.Contains(needs["lvm"], "another") {
		t.Errorf("lvm was taken over: %q", needs)
	}
}

func TestEngineDirIsAbsolute(t *testing.T) {
	if got := invoke(t, "methods", "--engine-dir", "engines"); got.code != 2 {
		t.Errorf("it ended with %d: %s", got.code, got.errors)
	}
}
