//go:build lab

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/orchestrator"
)

// record is where the writer keeps its last number on a disk: one block of a file that is on the disk already, so that
// a reader needs no file system journal to find it.
const record = "record"

// writer counts, for ever, on one disk after the other; each number is on its disk before the next is written.
const writer = `
for d in %[1]s; do dd if=/dev/zero of=/mnt/$d/record bs=4096 count=1 2>/dev/null; done; sync
n=0; while :; do n=$((n+1)); for d in %[1]s; do
printf '%%08d\n' $n | dd of=/mnt/$d/record conv=notrunc,fsync 2>/dev/null; done; done >/dev/null 2>&1 &
echo $! >/run/writer.pid`

// TestOneInstant: whatever the storages, all disks of a snapshot show the same instant: a disk that is written after
// another never shows a later number, and the last lags behind the first by one at most.
func TestOneInstant(t *testing.T) {
	m := startMachine(t, five())
	_, err := m.Control(t.Context(), fmt.Sprintf(writer, strings.Join(m.targets, " ")))
	check(t, err)
	for i := range 3 {
		m.checkInstant(fmt.Sprintf("frozen%d", i), "filesystem")
	}
	check(t, m.StopAgent(t.Context()))
	for i := range 2 {
		m.checkInstant(fmt.Sprintf("paused%d", i), "crash")
	}
	check(t, m.StartAgent(t.Context()))
	_, err = m.Control(t.Context(), "kill $(cat /run/writer.pid)")
	check(t, err)
	m.deleteEverything()
}

// checkInstant takes a snapshot and compares the writer's numbers in it.
func (m *machine) checkInstant(name, level string, options ...string) {
	m.t.Helper()
	before := m.number(m.targets[0])
	s := m.p.create(m.Name(), name, options...)
	if s.Consistency.Level != level {
		m.t.Errorf("%s: level %s, want %s: %+v", name, s.Consistency.Level, level, s.Consistency)
	}
	numbers := make([]int, len(s.Disks))
	for i, d := range s.Disks {
		numbers[i] = numberIn(m.t, d)
	}
	first, last := numbers[0], numbers[len(numbers)-1]
	if !slices.IsSortedFunc(numbers, func(a, b int) int { return b - a }) || first > last+1 {
		m.t.Errorf("%s: the disks show %d", name, numbers)
	}
	if first < before {
		m.t.Errorf("%s: it shows %d, and %d was on the disk before", name, first, before)
	}
	m.t.Logf("%s: %d, frozen %d ms, paused %d ms", name, numbers, s.Consistency.FrozenMS, s.Consistency.PausedMS)
}

// number is what the guest has on its disk now.
func (m *machine) number(target string) int {
	m.t.Helper()
	text, err := m.Control(context.Background(), "head -c 8 /mnt/"+target+"/"+record)
	check(m.t, err)
	return toNumber(m.t, text)
}

// numberIn reads the number out of a snapshot without mounting it.
func numberIn(t *testing.T, d orchestrator.SnapshotDisk) int {
	t.Helper()
	return toNumber(t, onRaw(t, d, "debugfs", "-R", "cat /"+record))
}

func toNumber(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimLeft(strings.TrimSpace(strings.Trim(text, "\x00"))[:8], "0"))
	check(t, err)
	return n
}

// deleteEverything leaves the storages as they were.
func (m *machine) deleteEverything() {
	m.t.Helper()
	for _, s := range m.p.list(m.Name()) {
		m.p.delete(m.Name(), s.Name)
	}
}
