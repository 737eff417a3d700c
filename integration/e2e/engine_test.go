//go:build lab

package e2e

import (
	_ "embed"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/quiesce"
)

// chunkStore is where the example engine keeps disks of which no descriptor says another place.
const chunkStore = "/var/lib/domsnap-chunks"

// TestEngine lets the example engine have one disk of a running guest, beside a built-in method, and go back.
func TestEngine(t *testing.T) {
	before := objects(t)
	m := startMachine(t, small(lab.QcowFile, lab.RawFile))
	example := filepath.Join(filepath.Dir(m.p.Path), "../../methods/engine/example/domsnap-method-chunks")
	text, err := os.ReadFile(example)
	check(t, err)
	installEngine(t, "chunks", string(text))
	check(t, os.Mkdir(chunkStore, 0o700))
	m.checkEngineIsShown("chunks")
	sums := map[string]map[string]string{}
	for seed, name := range []string{"s1", "s2"} {
		m.fill(uint64(seed))
		s := m.p.create(m.Name(), name, "--diskspec", "vdb,method=chunks", "--quiesce", "require")
		t.Logf("%s: frozen for %d ms, paused for %d ms", name, s.Consistency.FrozenMS, s.Consistency.PausedMS)
		if s.Consistency.PausedMS == 0 || s.Disks[1].Method != "chunks" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	m.fill(9)
	m.off()
	for _, name := range []string{"s1", "s2", "s1", "s2"} {
		r := m.p.revert(m.Name(), name, "--verify")
		if d := r.Disks[1]; !d.InPlace || d.How != methods.HowCompare || d.BytesWritten == 0 || *d.Verified == 0 {
			t.Errorf("revert to %s: %+v", name, d)
		}
		now := m.diskSums()
		if was, ok := sums[name]; ok && was["vdb"] != now["vdb"] {
			t.Errorf("the second revert to %s ended elsewhere: %s, was %s", name, now["vdb"], was["vdb"])
		}
		sums[name] = now
	}
	if sums["s1"]["vdb"] == sums["s2"]["vdb"] {
		t.Error("both snapshots are the same: nothing is tested")
	}
	m.on()
	m.checkGuestHas(1)
	m.deleteEverything()
	if left := tool(t, "sh", "-c", "ls "+chunkStore+"/chunks "+chunkStore+"/snapshots | grep -v :"); strings.TrimSpace(left) != "" {
		t.Errorf("the store still has %s", left)
	}
	if now := objects(t); now != before {
		t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
}

// installEngine makes a directory of engines with one in it, where nobody else may write, and has domsnap look there.
func installEngine(t *testing.T, name, text string) {
	t.Helper()
	dir, err := os.MkdirTemp("/var/lib", "engines")
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	check(t, os.WriteFile(filepath.Join(dir, "domsnap-method-"+name), []byte(text), 0o755))
	t.Setenv("DOMSNAP_ENGINE_DIR", dir)
}

func (m *machine) checkEngineIsShown(name string) {
	m.t.Helper()
	var shown []orchestrator.MethodReport
	m.p.must(&shown, "methods")
	for _, r := range shown {
		if r.Name == name {
			return
		}
	}
	m.t.Errorf("there is no %s in %+v", name, shown)
}

// checkGuestHas wants the content that a seed made on every disk.
func (m *machine) checkGuestHas(seed uint64) {
	m.t.Helper()
	now := m.guestSums()
	m.fill(seed)
	if want := m.guestSums(); now != want {
		m.t.Errorf("the guest has\n%s\nwant\n%s", now, want)
	}
}

// hostile is an engine that behaves well until the guest is held, and then as its name says.
//
//go:embed testdata/domsnap-method-hostile
var hostile string

// TestHostileEngines: whatever an engine does while it has the guest held, the guest goes on within the deadline, the
// error names the engine, and nothing is left.
func TestHostileEngines(t *testing.T) {
	m := startMachine(t, small(lab.QcowFile, lab.RawFile))
	for behaviour, want := range map[string]harm{
		"hangs": {1, "the limit of 30s is over"}, "floods": {1, "more than"}, "babbles": {1, "read "}, "lies": {1, "not found"},
		"dies": {1, "killed"}, "leaves": {1, "exit status 3"}, "next": {6, "version 2"},
	} {
		t.Run(behaviour, func(t *testing.T) {
			before := objects(t)
			installEngine(t, behaviour, hostile)
			sub := m.in(t)
			sub.meet(behaviour, want, "--hold")
			sub.checkAsBefore(before)
			sub.meet(behaviour, want.shielded(), "--shield-timeout", "5s")
			sub.checkAsBefore(before)
		})
	}
}

// harm is how the program ends, and what it says.
type harm struct {
	code int
	says string
}

// shielded is what it says where the guest is not held for it.
func (h harm) shielded() harm {
	h.says = strings.ReplaceAll(h.says, "the limit of 30s", "the limit of 5s behind the shield")
	return h
}

func (m *machine) meet(behaviour string, want harm, how ...string) {
	m.t.Helper()
	ended, longest := make(chan struct{}), make(chan time.Duration)
	go func() { longest <- m.heldUntil(ended) }()
	args := []string{"snapshot-create-as", m.Name(), "s1", "--diskspec", "vdb,method=" + behaviour, "--quiesce", "require"}
	message := m.p.fails(want.code, append(args, how...)...)
	close(ended)
	held := <-longest
	m.t.Logf("the guest was held for %s: %s", held, message)
	if held > quiesce.HoldLimit+time.Second {
		m.t.Errorf("the guest was held for %s", held)
	}
	if !strings.Contains(message, "engine "+behaviour) || !strings.Contains(message, want.says) {
		m.t.Errorf("want a word of engine %s, and %q: %s", behaviour, want.says, message)
	}
}

// heldUntil is how long the guest stands still at most, until the channel is closed.
func (m *machine) heldUntil(ended chan struct{}) (longest time.Duration) {
	var since time.Time
	for {
		select {
		case <-ended:
			return longest
		case <-time.After(20 * time.Millisecond):
		}
		state, _, err := m.Libvirt().GetState()
		switch {
		case err != nil || state != libvirt.DOMAIN_PAUSED:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		default:
			longest = max(longest, time.Since(since))
		}
	}
}
