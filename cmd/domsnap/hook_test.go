package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/orchestrator/shield"
)

const (
	hookedUUID = "6f1d2c3b-0000-4000-8000-000000000001"
	hookedXML  = "<domain type='kvm'>\n  <name>web1</name>\n  <uuid>" + hookedUUID + "</uuid>\n</domain>\n"
)

// unfinishedRevert is a state directory with a revert of web1.
func unfinishedRevert(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	i := journal.Intent{Verb: journal.Revert, Domain: "web1", UUID: hookedUUID}
	if err := (journal.Journal{Dir: dir + "/journal"}).Begin(i); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestHookVetoesTheRestoreOfADomainThatWasSavedBehindAShield: any other start of it is on the overlays.
func TestHookVetoesTheRestoreOfADomainThatWasSavedBehindAShield(t *testing.T) {
	dir := t.TempDir()
	i := journal.Intent{Verb: journal.Create, Domain: "web1", UUID: hookedUUID, Shield: []shield.Overlay{{Node: "ds-sone-vda"}}}
	if err := (journal.Journal{Dir: dir + "/journal"}).Begin(i); err != nil {
		t.Fatal(err)
	}
	for line, code := range map[string]int{"qemu web1 restore begin -": 7, "qemu web1 prepare begin -": 0, "qemu web1 stopped end -": 0} {
		if o := hooked(t, dir, hookedXML, line); o.code != code {
			t.Errorf("%s: exit %d: %s", line, o.code, o.errors)
		}
	}
}

// hooked answers the hook as libvirt calls it. The hypervisor it names is not there: the hook must not miss it.
func hooked(t *testing.T, stateDir, stdin, line string) outcome {
	t.Helper()
	var out, errors bytes.Buffer
	ui := &ui{in: strings.NewReader(stdin), out: &out, err: &errors}
	app := newApp(ui)
	args := append([]string{"domsnap", "-c", "none:///", "--state-dir", stateDir, "hook"}, strings.Fields(line)...)
	code := ui.finish(app.RunContext(t.Context(), permute(app, args)))
	return outcome{code, out.String(), errors.String(), ui.verbose}
}

func TestHookVetoesOnlyTheStartOfAHalfRevertedDomain(t *testing.T) {
	dir := unfinishedRevert(t)
	for _, c := range []struct {
		line, stateDir, stdin string
		code                  int
	}{
		{"qemu web1 prepare begin -", dir, hookedXML, 7},
		{"qemu -- web1 prepare begin -", dir, hookedXML, 7},
		{"qemu -- --help prepare begin -", dir, hookedXML, 7},
		{"qemu web1 prepare begin -", dir, strings.Replace(hookedXML, "0001", "0002", 1), 0},
		{"qemu web1 prepare begin -", t.TempDir(), hookedXML, 0},
		{"qemu web1 prepare begin -", dir + "/none", hookedXML, 0},
		{"qemu web1 start begin -", dir, hookedXML, 0},
		{"qemu web1 started begin -", dir, hookedXML, 0},
		{"qemu web1 stopped end -", dir, hookedXML, 0},
		{"qemu web1 release end -", dir, hookedXML, 0},
		{"qemu web1 release end -", dir, "not a domain", 1},
		{"qemu web1 migrate begin -", dir, hookedXML, 0},
		{"qemu web1 restore begin -", dir, hookedXML, 0},
		{"qemu web1 reconnect begin -", dir, "", 0},
		{"qemu web1 prepare begin -", dir, "not a domain", 1},
		{"qemu web1 prepare begin", dir, hookedXML, 2},
		{"lxc web1 prepare begin -", dir, hookedXML, 2},
		{"", dir, hookedXML, 2},
	} {
		got := hooked(t, c.stateDir, c.stdin, c.line)
		// What a hook prints would be taken for another domain XML.
		if got.code != c.code || got.out != "" {
			t.Errorf("%q ended with %d, printed %q and said %q", c.line, got.code, got.out, got.errors)
		}
		if want := "domsnap: domain web1 is half-reverted: run domsnap recover web1\n"; c.code == 7 && got.errors != want {
			t.Errorf("%q said %q, want %q", c.line, got.errors, want)
		}
	}
}

// TestHookScript runs what is installed, with a program in PATH that notes how it was called.
func TestHookScript(t *testing.T) {
	text, err := os.ReadFile("../../integration/hooks/qemu")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script, tools, calls := filepath.Join(dir, "domsnap-hook"), filepath.Join(dir, "bin"), filepath.Join(dir, "calls")
	installed := strings.Replace(string(text), "state=/var/lib/domsnap", "state="+dir, 1)
	noted := "#!/bin/sh\nprintf '%s|' \"$@\" >" + calls + "\ncat >>" + calls + "\nexit 7\n"
	for path, content := range map[string]string{script: installed, filepath.Join(tools, "domsnap"): noted} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) int {
		cmd := exec.Command(script, args...)
		cmd.Env = []string{"PATH=" + tools + ":" + os.Getenv("PATH")}
		cmd.Stdin = strings.NewReader("<domain/>")
		_ = cmd.Run()
		return cmd.ProcessState.ExitCode()
	}
	if code := run("web 1", "prepare", "begin", "-"); code != 0 {
		t.Errorf("with nothing unfinished it ended with %d", code)
	}
	if err := os.MkdirAll(filepath.Join(dir, "journal", "some"), 0o755); err != nil {
		t.Fatal(err)
	}
	if code := run("web 1", "release", "end", "-"); code != 0 {
		t.Errorf("a release ended with %d", code)
	}
	if _, err := os.Stat(calls); err == nil {
		t.Error("the program was called without need")
	}
	if code := run("web 1", "prepare", "begin", "-"); code != 7 {
		t.Errorf("with something unfinished it ended with %d", code)
	}
	wantCall := func(operation string) {
		want := fmt.Sprintf("--state-dir|%s|hook|qemu|--|web 1|%s|-|<domain/>", dir, operation)
		if got, err := os.ReadFile(calls); err != nil || string(got) != want {
			t.Errorf("it called %q (%v), want %q", got, err, want)
		}
	}
	wantCall("prepare|begin")
	if err := os.Rename(filepath.Join(dir, "journal"), filepath.Join(dir, "at-shutdown")); err != nil {
		t.Fatal(err)
	}
	if code := run("web 1", "prepare", "begin", "-"); code != 0 {
		t.Errorf("with something asked for a start ended with %d", code)
	}
	if code := run("web 1", "release", "end", "-"); code != 7 {
		t.Errorf("with something asked for a release ended with %d", code)
	}
	wantCall("release|end")
}
