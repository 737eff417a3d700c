// Package lease says how long something temporary stays: until a time, or as long as a process lives.
package lease

import (
	"errors"
	"fmt"
	"io/fs"
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

// Holder names a process, and no other that has its number later or elsewhere: HOST/NAMESPACE/BOOT/PID/START, of which the
// parts are the host's machine-id(5), the namespace that the process id is in, the id of the host's boot, the process id,
// and when the process was started, in ticks since the boot: proc(5).
type Holder string

// HolderOf names a process that lives.
func HolderOf(pid int) (Holder, error) {
	here, err := place()
	if err != nil {
		return "", fmt.Errorf("find the id of the boot: %w", err)
	}
	start, err := started(pid)
	if err != nil {
		return "", fmt.Errorf("find process %d: %w", pid, err)
	}
	return Holder(fmt.Sprintf("%s/%d/%s", strings.Join(here, "/"), pid, start)), nil
}

// gone is false where it cannot be told, as of a process of another host: something would be lost.
func (h Holder) gone() bool {
	parts := strings.Split(string(h), "/")
	here, err := place()
	if err != nil || len(parts) != 5 || parts[0] != here[0] || parts[1] != here[1] {
		return false
	}
	pid, err := strconv.Atoi(parts[3])
	if err != nil {
		return false
	}
	if parts[2] != here[2] {
		return true
	}
	start, err := started(pid)
	return errors.Is(err, fs.ErrNotExist) || err == nil && start != parts[4]
}

// place is where processes have the numbers that this one sees: the host, the namespace and the boot.
func place() ([]string, error) {
	// Not every host has one, and then they all have none.
	host, _ := os.ReadFile("/etc/machine-id")
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return nil, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return []string{strings.TrimSpace(string(host)), namespace, strings.TrimSpace(string(boot))}, err
}

// started is the 22nd field of the process's stat. One that has ended, and that nobody has waited for, is not there.
func started(pid int) (string, error) {
	fields, err := statOf(pid)
	if err != nil {
		return "", err
	}
	if fields[0] == "Z" {
		return "", fs.ErrNotExist
	}
	return fields[19], nil
}

// statOf are the fields of the process's stat from the third on: the second is its name, which may have blanks and
// parentheses in it.
func statOf(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("read the state of process %d: it has %d fields", pid, len(fields))
	}
	return fields, nil
}
