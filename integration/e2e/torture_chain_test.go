//go:build lab

package e2e

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"github.com/domsnap/domsnap/orchestrator"
)

// chained writes records for ever, each with the hash of the one before, to one disk after the other. Every record is
// on its disk before the next is written, and acknowledged when it is on all. The file has its full size before, so that
// a reader of a snapshot needs no file system journal to find it. It makes few processes, and pauses: its CPU is the lab's.
const chained = `
for d in %[1]s; do dd if=/dev/zero of=/mnt/$d/chain bs=64k count=64 2>/dev/null; done; sync
echo 0 >/run/acked; n=0; last=; blanks=$(printf '%%127s')
while :; do
last=$(printf '%%s' "$n $last" | sha256sum); last=${last%%%% *}; record="$n $last$blanks"
for d in %[1]s; do dd of=/mnt/$d/chain bs=128 seek=$n conv=notrunc,fsync 2>/dev/null <<END
${record:0:127}
END
done
n=$((n+1)); echo $n >/run/acked.new; mv /run/acked.new /run/acked; sleep 0.5
done >/dev/null 2>&1 & echo $! >/run/chain.pid`

// chain is how far the records are known to be whole.
type chain struct {
	count int
	// last is the hash of the last record.
	last string
}

// startChain has the guest write.
func (x *torturer) startChain() {
	x.t.Helper()
	_, err := x.Control(x.t.Context(), fmt.Sprintf(chained, strings.Join(x.targets, " ")))
	check(x.t, err)
	x.chain = &chain{}
}

// checkChain: whatever the guest was told is on its disks is there.
func (x *torturer) checkChain() {
	x.t.Helper()
	x.checkRecords(x.acked())
}

// checkRecords: so many records at least are on every disk.
func (x *torturer) checkRecords(acked int) {
	x.t.Helper()
	_, err := x.Control(x.t.Context(), "echo 3 >/proc/sys/vm/drop_caches")
	check(x.t, err)
	var end chain
	for _, target := range x.targets {
		end = *x.chain
		script := fmt.Sprintf("dd if=/mnt/%s/chain bs=128 skip=%d count=%d 2>/dev/null", target, end.count, acked-end.count)
		records, err := x.Control(x.t.Context(), script)
		check(x.t, err)
		if err := end.follow(records, acked); err != nil {
			x.t.Errorf("disk %s: %v", target, err)
		}
	}
	*x.chain = end
}

func (x *torturer) acked() int {
	x.t.Helper()
	text, err := x.Control(x.t.Context(), "cat /run/acked")
	check(x.t, err)
	n, err := strconv.Atoi(strings.TrimSpace(text))
	check(x.t, err)
	return n
}

// follow reads records up to a number of them, each of which has to follow from the one before.
func (c *chain) follow(records string, count int) error {
	for line := range strings.Lines(strings.TrimRight(records, " \n\x00")) {
		if err := c.next(line); err != nil {
			return err
		}
	}
	if c.count < count {
		return fmt.Errorf("%d records are there, %d were acknowledged", c.count, count)
	}
	return nil
}

func (c *chain) next(line string) error {
	hash := fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%d %s", c.count, c.last)))
	if want := fmt.Sprintf("%d %s", c.count, hash); strings.TrimSpace(line) != want {
		return fmt.Errorf("record %d is %q, want %q", c.count, strings.TrimSpace(line), want)
	}
	c.count, c.last = c.count+1, hash
	return nil
}

// countIn is how many records a snapshot's disk has, all of which are whole.
func (x *torturer) countIn(d orchestrator.SnapshotDisk) int {
	x.t.Helper()
	text, _, _ := strings.Cut(onRaw(x.t, d, "debugfs", "-R", "cat /chain"), "\x00")
	var c chain
	if err := c.follow(text, 0); err != nil {
		x.t.Errorf("in the snapshot: %v", err)
	}
	return c.count
}
