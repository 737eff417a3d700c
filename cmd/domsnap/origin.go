package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/lease"
)

// kept are the variables that this program and its children live with. Any other changes what a library or a tool does:
// where it looks for its configuration, its keys, its modules. PATH says where the tools are; children get their own.
var kept = []string{
	"PATH", "HOME", "USER", "LOGNAME", "TERM", "LIBVIRT_DEFAULT_URI", "LIBVIRT_AUTH_FILE", "XDG_RUNTIME_DIR",
	"XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "KRB5CCNAME", "GOCOVERDIR",
}

const ownVariables = "DOMSNAP_"

// leaveBehind takes away what a caller has left us: variables, and open files that would go on to our children. Files that
// we were started with on purpose stay open here.
func leaveBehind() error {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(kept, name) || strings.HasPrefix(name, ownVariables) {
			continue
		}
		if err := os.Unsetenv(name); err != nil {
			return fmt.Errorf("leave the variable %s behind: %w", name, err)
		}
	}
	if err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("keep open files from children: %w", err)
	}
	return nil
}

// checkNoHook refuses a verb that one of libvirt's hooks calls: its daemon waits for the hook, and answers nobody about the
// domain meanwhile. What this program starts aside for itself outlives the hook.
func checkNoHook(verb *cli.Command) error {
	if verb.Hidden {
		return nil
	}
	daemon := lease.Under("libvirtd", "virtqemud")
	if daemon == "" {
		return nil
	}
	return &orchestrator.Problem{
		Kind: orchestrator.ErrRefused, Err: fmt.Errorf("%s in a hook of libvirt: %s waits for the hook, which would wait for it", verb.Name, daemon),
		Hint: "have it done behind the hook: systemd-run --no-block domsnap ..., or snapshot-revert --at-shutdown beforehand",
	}
}

// checkCaller refuses to act with more rights than the caller has: this program decides by nobody's authority but
// libvirt's and the kernel's.
func checkCaller() error {
	if os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid() {
		return errors.New("this program must not be set-uid or set-gid: take the bit away")
	}
	return nil
}
