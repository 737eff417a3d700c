package lease

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Caller is the process that has called this one: the nearest that did not just change the user.
func Caller() (int, error) {
	pid := os.Getppid()
	for {
		name, err := nameOf(pid)
		if err != nil {
			return 0, err
		}
		if name != "sudo" && name != "doas" && name != "su" {
			return pid, nil
		}
		if pid, err = parentOf(pid); err != nil {
			return 0, err
		}
	}
}

// Under is the nearest of these programs, by the names that the kernel has for them, that this process has come from; empty
// where none is found. Process 1 is none: it has taken in whoever lost his parent.
func Under(programs ...string) string {
	for pid := os.Getppid(); pid > 1; {
		name, err := nameOf(pid)
		if err != nil {
			return ""
		}
		if slices.Contains(programs, name) {
			return name
		}
		if pid, err = parentOf(pid); err != nil {
			return ""
		}
	}
	return ""
}

func nameOf(pid int) (string, error) {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(name)), err
}

func parentOf(pid int) (int, error) {
	fields, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(fields[1])
}
