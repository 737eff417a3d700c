// Package lab gives tests a real domain with real disks, inside the hypervisor that the lab command boots.
//
// A Domain is a small guest under libvirt with a real guest agent. Its disks are on whatever storage a Disk names;
// the guest mounts each at /mnt/<target>. Everything a Domain made is gone after Close.
package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Running tells whether this process runs inside the lab.
func Running() bool { return os.Getenv("DOMSNAP_LAB") != "" }

// SinceStart is how long ago "lab run" was called.
func SinceStart() time.Duration {
	started, err := strconv.ParseFloat(os.Getenv("DOMSNAP_LAB_STARTED"), 64)
	if err != nil {
		return 0
	}
	return time.Since(time.UnixMilli(int64(started * 1000))).Round(100 * time.Millisecond)
}

// Command runs a program and returns its standard output. The error holds its standard error.
func Command(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "LC_ALL=C", "LVM_SUPPRESS_FD_WARNINGS=1")
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("run %s: %w: %s", cmd, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
