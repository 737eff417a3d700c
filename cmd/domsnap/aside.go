package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
)

const (
	// systemdRuns is there where systemd is process 1.
	systemdRuns = "/run/systemd/system"
	// systemdTimeout is how long systemd may take to accept a unit, for which libvirt may be waiting.
	systemdTimeout = 5 * time.Second
)

// itself is this program again under another name, with one of the hidden commands that it runs itself with and the same
// global options.
func itself(c *cli.Context, name string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	options := []string{"--" + optConnect, c.String(optConnect), "--" + optStateDir, c.String(optStateDir),
		"--" + optEngineDir, c.String(optEngineDir)}
	cmd := exec.Command(self, append(options, args...)...)
	cmd.Args[0] = name
	return cmd, nil
}

// startAside starts a process that has nothing of ours: no terminal, no files, no session, and where systemd runs a unit of
// its own.
func startAside(cmd *exec.Cmd, unit string) error {
	if asService(cmd, unit) == nil {
		return nil
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, nil, nil
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// asService has systemd start cmd.
func asService(cmd *exec.Cmd, unit string) error {
	run, err := systemdRun(cmd, unit, "--no-block", "--setenv=PATH="+os.Getenv("PATH"))
	if err != nil {
		return err
	}
	if err := run.Start(); err != nil {
		return err
	}
	late := time.AfterFunc(systemdTimeout, func() { _ = run.Process.Kill() })
	defer late.Stop()
	return run.Wait()
}

// inScope is cmd in a scope of systemd's: systemd-run moves itself and then becomes cmd, whose files and process id stay.
func inScope(cmd *exec.Cmd, unit string) (*exec.Cmd, error) {
	scoped, err := systemdRun(cmd, unit, "--scope")
	if err == nil {
		scoped.Stderr = cmd.Stderr
	}
	return scoped, err
}

// systemdRun is cmd in a unit of its own: what ends the unit that we run in (a stop, a kill, too little memory) ends all of
// that unit's processes, whatever their session. It fails where systemd does not run, or has nothing for this user.
func systemdRun(cmd *exec.Cmd, unit string, options ...string) (*exec.Cmd, error) {
	if _, err := os.Stat(systemdRuns); err != nil {
		return nil, err
	}
	args := append([]string{"--quiet", "--collect", "--no-ask-password", "--unit=" + unit}, options...)
	if os.Geteuid() != 0 {
		if os.Getenv("XDG_RUNTIME_DIR") == "" {
			return nil, fmt.Errorf("systemd has nothing for user %d", os.Geteuid())
		}
		args = append(args, "--user")
	}
	run := exec.Command("systemd-run", append(append(args, "--", cmd.Path), cmd.Args[1:]...)...)
	run.Env = cmd.Env
	return run, nil
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
