package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVerbInAHookIsRefused: libvirt would wait for the hook, and the hook for libvirt. What a hook may ask is answered.
func TestVerbInAHookIsRefused(t *testing.T) {
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	for daemon, refused := range map[string]bool{"libvirtd": true, "virtqemud": true, "crond": false} {
		for line, code := range map[string]int{"snapshot-list test": 6, "hook qemu test started begin -": 0, "--version": 0} {
			if !refused {
				code = 0
			}
			path := filepath.Join(t.TempDir(), daemon)
			if err := os.WriteFile(path, shell, 0o755); err != nil {
				t.Fatal(err)
			}
			text := os.Args[0] + " --state-dir " + t.TempDir() + " -c " + testHypervisor + " " + line
			cmd := exec.Command(path, "-c", text+"; exit $?")
			cmd.Env = []string{asProgram + "=1", "PATH=" + os.Getenv("PATH")}
			out, _ := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != code || (code != 0) != strings.Contains(string(out), "in a hook of libvirt: "+daemon) {
				t.Errorf("%s under %s: exit %d, %s", line, daemon, got, out)
			}
		}
	}
}
