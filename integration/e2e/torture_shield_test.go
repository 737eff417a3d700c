//go:build lab

package e2e

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// TestTortureShield: round after round, nothing that the guest writes is missing, every snapshot is of one instant, and nothing
// of the shield is left that a person, or libvirt, would find.
func TestTortureShield(t *testing.T) {
	x := newTorturer(t, small(fiveKinds()...))
	before := objects(t)
	x.boot()
	x.shieldedRound()
	definition, memory := x.definition(), x.qemuMemory()
	rounds := 3
	if x.every {
		rounds = 200
	}
	for range rounds {
		x.shieldedRound()
		if now := x.definition(); now != definition {
			t.Fatalf("the domain is\n%s\nand was\n%s", now, definition)
		}
		x.checkNoShield()
	}
	if now := x.qemuMemory(); now > memory+memory/10 {
		t.Errorf("QEMU has %d KiB and had %d", now, memory)
	}
	t.Logf("torture: %d rounds of the shield, QEMU's memory %d KiB before, %d after", rounds, memory, x.qemuMemory())
	x.libvirtWorks()
	x.end(before)
}

// shieldedRound takes a snapshot behind a shield and deletes it again.
func (x *torturer) shieldedRound() {
	x.t.Helper()
	s := x.p.create(x.Name(), "round", "--shield", "--quiesce", "require")
	c := s.Consistency
	if c.HeldBy == nil || *c.HeldBy != string(orchestrator.Shield) || c.ShieldedMS == 0 {
		x.t.Errorf("it was not shielded: %+v", c)
	}
	x.t.Logf("frozen %d ms, paused %d ms, shielded %d ms", c.FrozenMS, c.PausedMS, c.ShieldedMS)
	x.checkInstantOf(&s)
	x.p.delete(x.Name(), "round")
	x.checkChain()
}

// numbers are those that libvirt gives anew: of images, and of what it runs.
var numbers = regexp.MustCompile(`(?s) index='[0-9]+'| id='[0-9]+'|/channel/[0-9]+-|<metadata>.*?</metadata>\n *`)

// definition is what libvirt says of the domain, of what runs and of what is defined, but for what we have written there.
func (x *torturer) definition() string {
	x.t.Helper()
	both := tool(x.t, "virsh", "dumpxml", x.Name()) + tool(x.t, "virsh", "dumpxml", "--inactive", x.Name())
	return numbers.ReplaceAllString(both, "")
}

// checkNoShield looks where a shield would be.
func (x *torturer) checkNoShield() {
	x.t.Helper()
	nodes := x.qmp(`{"execute":"query-named-block-nodes","arguments":{"flat":true}}`)
	if strings.Contains(nodes, `"ds-s`) || strings.Contains(nodes, "/shield/") {
		x.t.Errorf("QEMU has nodes of a shield: %s", nodes)
	}
	if jobs := x.qmp(`{"execute":"query-block-jobs"}`); !strings.Contains(jobs, `"return":[]`) {
		x.t.Errorf("QEMU has jobs: %s", jobs)
	}
	if files := tool(x.t, "find", x.p.StateDir+"/shield", "-type", "f"); files != "" {
		x.t.Errorf("files of a shield are left: %s", files)
	}
}

func (x *torturer) qmp(command string) string {
	x.t.Helper()
	return tool(x.t, "virsh", "-q", "qemu-monitor-command", x.Name(), command)
}

// qemuMemory is what QEMU has resident, in KiB.
func (x *torturer) qemuMemory() int {
	x.t.Helper()
	text := tool(x.t, "sh", "-c", "ps -o rss= -p $(pgrep -f 'qemu-system.*"+x.Name()+"' | head -n1)")
	n, err := strconv.Atoi(strings.TrimSpace(text))
	check(x.t, err)
	return n
}

// libvirtWorks: what others do with the domain goes as before.
func (x *torturer) libvirtWorks() {
	x.t.Helper()
	for _, script := range []string{
		`virsh -q snapshot-create-as "$1" theirs --disk-only --no-metadata --diskspec vda,file=/var/lib/libvirt/images/"$1"-theirs.qcow2` + x.others(),
		`virsh -q blockcommit "$1" vda --active --pivot --wait && rm /var/lib/libvirt/images/"$1"-theirs.qcow2`,
		`virsh dumpxml --migratable "$1" >/dev/null`,
		`virsh -q suspend "$1" && virsh -q resume "$1"`,
	} {
		tool(x.t, "sh", "-c", script, "sh", x.Name())
	}
	x.checkChain()
	_, err := x.Control(context.Background(), "kill $(cat /run/chain.pid); sync")
	check(x.t, err)
	check(x.t, x.Stop())
	x.chain = nil
}

// others has libvirt's snapshot leave all disks but the first alone.
func (x *torturer) others() string {
	var options string
	for _, target := range x.targets[1:] {
		options += " --diskspec " + target + ",snapshot=no"
	}
	return options
}

// shieldedEnd has the guest end at acts of a create.
func (x *torturer) shieldedEnd(name string, end func(*os.Process), pick func(all []string) []string) {
	x.t.Helper()
	before := objects(x.t)
	x.boot()
	v := x.createsRunning("--shield")
	all := x.points(v)
	x.each(way{v.name, name, len(all)}, pick(all), func(point string) { x.endsAt(point, v, end) })
	x.end(before)
}

// dies kills programs by their names.
func dies(programs ...string) {
	for _, p := range programs {
		_ = exec.Command("pkill", "-9", "-f", "^(/[^ ]*/)?"+p).Run()
	}
}

// onAgain waits for a guest that has begun again, and starts one that has not.
func (x *torturer) onAgain() {
	x.t.Helper()
	if x.shutOff() {
		check(x.t, x.Start())
	}
	check(x.t, x.WaitAgent(lab.BootTimeout))
}

func (x *torturer) shutOff() bool {
	x.t.Helper()
	return strings.Contains(tool(x.t, "virsh", "domstate", x.Name()), "shut off")
}

func (x *torturer) endsAt(point string, v victim, end func(*os.Process)) {
	x.t.Helper()
	definition, acked := x.definition(), 0
	domsnap, said := x.runAt(point, v.args, func(domsnap *os.Process) {
		acked = x.acked()
		end(domsnap)
	})
	if domsnap.Exited() {
		x.checkSaid(v, domsnap.ExitCode(), said)
	}
	x.await(guarded, false, longestHeld)
	x.onAgain()
	x.checkRecords(acked)
	x.recoverAll()
	x.checkRecords(acked)
	x.startChain()
	x.checkObjects()
	v.check()
	x.checkNoShield()
	if now := x.definition(); now != definition {
		x.t.Errorf("the domain is\n%s\nand was\n%s", now, definition)
	}
}
