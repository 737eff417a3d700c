package quiesce

import (
	"os"
	"os/exec"
)

// systemdRuns is there where systemd is process 1.
const systemdRuns = "/run/systemd/system"

// InScope is cmd in a scope of systemd's, a unit of its own: what ends the unit that we run in (a stop, a kill, too little
// memory) ends all of that unit's processes, whatever their session. It is nil where systemd does not run, or has nothing
// for this user. systemd-run moves itself and then becomes cmd: files and process id stay.
func InScope(cmd *exec.Cmd, unit string) *exec.Cmd {
	if _, err := os.Stat(systemdRuns); err != nil {
		return nil
	}
	args := []string{"--scope", "--quiet", "--collect", "--no-ask-password", "--unit=" + unit}
	if os.Geteuid() != 0 {
		if os.Getenv("XDG_RUNTIME_DIR") == "" {
			return nil
		}
		args = append(args, "--user")
	}
	scoped := exec.Command("systemd-run", append(append(args, "--", cmd.Path), cmd.Args[1:]...)...)
	scoped.Env, scoped.Stderr = cmd.Env, cmd.Stderr
	return scoped
}
