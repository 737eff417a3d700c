package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
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

// checkCaller refuses to act with more rights than the caller has: this program decides by nobody's authority but
// libvirt's and the kernel's.
func checkCaller() error {
	if os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid() {
		return errors.New("this program must not be set-uid or set-gid: take the bit away")
	}
	return nil
}
