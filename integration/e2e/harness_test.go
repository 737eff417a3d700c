//go:build lab

// Package e2e tests the program as people run it, on a real hypervisor.
package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/cli"
	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// program is domsnap as installed, with a state directory of its own.
type program struct {
	cli.Program
	t *testing.T
}

func newProgram(t *testing.T) *program {
	t.Helper()
	installed, err := cli.FromEnvironment(t.TempDir())
	check(t, err)
	p := &program{Program: installed, t: t}
	t.Cleanup(p.checkNothingLeft)
	return p
}

// checkNothingLeft: whatever a test did, no work is unfinished, no guardian waits, and nobody is at work.
func (p *program) checkNothingLeft() {
	if open := p.unfinished(); len(open) > 0 {
		p.t.Errorf("unfinished work is left: %v", open)
	}
	if guarded() {
		p.t.Error("a guardian is left")
	}
	if p.atWork() {
		p.t.Error("the lock of a domain is held by something that was left")
	}
}

// unfinished are the journals of the domains that have unfinished work.
func (p *program) unfinished() []string {
	p.t.Helper()
	open, err := filepath.Glob(p.StateDir + "/journal/*")
	check(p.t, err)
	return open
}

// atWork says that a domain's lock is held: by domsnap, by its guardian, or by a tool that was left behind.
func (p *program) atWork() bool {
	p.t.Helper()
	locks, err := filepath.Glob(p.StateDir + "/locks/*")
	check(p.t, err)
	return slices.ContainsFunc(locks, func(lock string) bool { return exec.Command("flock", "--nonblock", lock, "true").Run() != nil })
}

func (p *program) run(args ...string) cli.Result {
	p.t.Helper()
	r, err := p.Run(context.Background(), args...)
	check(p.t, err)
	p.t.Logf("domsnap %s: exit %d in %d ms", strings.Join(args, " "), r.Code, r.Took.Milliseconds())
	return r
}

// must runs what has to succeed and decodes its answer.
func (p *program) must(into any, args ...string) {
	p.t.Helper()
	o := p.run(args...)
	if o.Code != 0 {
		p.t.Fatalf("domsnap %v: exit %d: %s%s", args, o.Code, o.Stdout, o.Stderr)
	}
	if err := json.Unmarshal(o.Stdout, into); err != nil {
		p.t.Fatalf("domsnap %v: %v in %s", args, err, o.Stdout)
	}
}

// fails runs what has to end with this code, and gives the message.
func (p *program) fails(code int, args ...string) string {
	p.t.Helper()
	o := p.run(args...)
	var report struct {
		Error struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal(o.Stdout, &report); err != nil {
		p.t.Fatalf("domsnap %v: %v in %q", args, err, o.Stdout)
	}
	if o.Code != code || report.Error.Code != code {
		p.t.Fatalf("domsnap %v: exit %d, said %d, want %d: %s%s", args, o.Code, report.Error.Code, code, o.Stdout, o.Stderr)
	}
	return report.Error.Message
}

func (p *program) create(domain, name string, options ...string) orchestrator.Snapshot {
	p.t.Helper()
	var s orchestrator.Snapshot
	p.must(&s, append([]string{"snapshot-create-as", domain, name}, options...)...)
	return s
}

func (p *program) revert(domain, name string, options ...string) orchestrator.RevertResult {
	p.t.Helper()
	var r orchestrator.RevertResult
	p.must(&r, append([]string{"snapshot-revert", domain, name}, options...)...)
	return r
}

func (p *program) delete(domain, name string, options ...string) orchestrator.DeleteResult {
	p.t.Helper()
	var r orchestrator.DeleteResult
	p.must(&r, append([]string{"snapshot-delete", domain, name}, options...)...)
	return r
}

func (p *program) list(domain string) []orchestrator.Snapshot {
	p.t.Helper()
	var list []orchestrator.Snapshot
	p.must(&list, "snapshot-list", domain)
	return list
}

// shim puts a script in front of a tool. In it $REAL is the tool.
func (p *program) shim(tool, script string) {
	p.t.Helper()
	real, err := exec.LookPath(tool)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.ToolDir == "" {
		p.ToolDir = p.t.TempDir()
	}
	text := "#!/bin/sh\nREAL=" + real + "\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(p.ToolDir, tool), []byte(text), 0o755); err != nil {
		p.t.Fatal(err)
	}
}

// unshim takes that away again.
func (p *program) unshim(tool string) {
	p.t.Helper()
	check(p.t, os.Remove(filepath.Join(p.ToolDir, tool)))
}

// script has a script find the program, its state, and the tools in front.
func (p *program) script(cmd *exec.Cmd, env ...string) *exec.Cmd {
	cmd.Env = append(append(os.Environ(), env...), "DOMSNAP="+p.Path, "DOMSNAP_STATE_DIR="+p.StateDir)
	if p.ToolDir != "" {
		cmd.Env = append(cmd.Env, "PATH="+p.ToolDir+":"+os.Getenv("PATH"))
	}
	return cmd
}

// five are the disks of the mixed domain: four storages, one of them in both its ways. (In a lab without LVM it is others.)
func five() []lab.Disk {
	return small(lab.QcowFile, lab.ThickLV, lab.ThinLV, lab.BtrfsSubvol, lab.RBD)
}

// small are disks that are read as a whole in no time.
func small(kinds ...lab.Kind) []lab.Disk {
	disks := make([]lab.Disk, len(kinds))
	for i, k := range lab.Have(kinds...) {
		disks[i] = lab.Disk{Kind: k, Size: 48 << 20}
	}
	return disks
}

// blank are disks without a file system, which may be written to while the domain is off.
func blank(kinds ...lab.Kind) []lab.Disk {
	disks := make([]lab.Disk, len(kinds))
	for i, k := range lab.Have(kinds...) {
		disks[i] = lab.Disk{Kind: k, Size: 16 << 20, FS: lab.NoFS}
	}
	return disks
}

// tool runs a program that has to succeed.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := lab.Command(context.Background(), name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
