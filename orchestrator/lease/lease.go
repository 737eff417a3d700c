// Package lease says how long something temporary stays: until a time, or as long as a process lives.
package lease

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Lease is how long something stays; the zero value is for ever.
type Lease struct {
	// Until ends it, unless it is zero.
	Until time.Time
	// Holder ends it with its process, unless it is empty.
	Holder Holder
}

// Over says whether the lease has ended.
func (l Lease) Over(now time.Time) bool {
	return !l.Until.IsZero() && !now.Before(l.Until) || l.Holder != "" && l.Holder.gone()
}

// Holder names a process, and no other that has its number later: BOOT/PID/START, of which the parts are the id of the
// host's boot, the process id, and when the process was started, in ticks since the boot: proc(5).
type Holder string

// HolderOf names a process that lives.
func HolderOf(pid int) (Holder, error) {
	boot, err := bootID()
	if err != nil {
		return "", fmt.Errorf("find the id of the boot: %w", err)
	}
	start, err := started(pid)
	if err != nil {
		return "", fmt.Errorf("find process %d: %w", pid, err)
	}
	return Holder(fmt.Sprintf("%s/%d/%s", boot, pid, start)), nil
}

// gone is false where it cannot be told: something would be lost.
func (h Holder) gone() bool {
	parts := strings.Split(string(h), "/")
	if len(parts) != 3 {
		return false
	}
	boot, err := bootID()
	pid, pidErr := strconv.Atoi(parts[1])
	if err != nil || pidErr != nil {
		return false
	}
	if boot != parts[0] {
		return true
	}
	start, err := started(pid)
	return os.IsNotExist(err) || err == nil && start != parts[2]
}

func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text)), err
}

// started is the 22nd field of the process's stat. The second is its name, which may have blanks and parentheses in it.
func started(pid int) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 {
		return "", fmt.Errorf("read the state of process %d: it has %d fields", pid, len(fields))
	}
	return fields[19], nil
}
