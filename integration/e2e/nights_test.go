//go:build lab && torture

package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// nights is a host with three domains, of which the script takes a snapshot each night and brings it to two places: one of
// another kind on this host, and one on another host.
type nights struct {
	t           *testing.T
	p           *program
	began       time.Time
	here, there string
	domains     []*sleeper
	config      string
}

// sleeper is a domain with one disk. The night after each change of it has a snapshot, or a crash before that.
type sleeper struct {
	*machine
	places []string
	// files are the files that it has, as sha256sum prints them: of night n the first n.
	files []string
	taken []snapshotOfNight
}

type snapshotOfNight struct {
	night     int
	name, sum string
}

const (
	allNights  = 7
	crashNight = 3
	// keptHere and keptThere are days, as the configuration says.
	keptHere, keptThere = 2, 3

	day = 24 * time.Hour
)

// TestSevenNights: whatever happens in the third night, what is kept in the end is what there was, here and there, and boots.
func TestSevenNights(t *testing.T) {
	before := objects(t)
	n := newNights(t)
	for night := 1; night <= allNights; night++ {
		n.evening(night)
		if night == crashNight {
			n.crash()
		} else {
			n.wantReport(night, n.p.night(0, n.config))
		}
		n.remember(night)
		t.Logf("night %d is over after %s", night, time.Since(n.began).Round(time.Second))
	}
	n.domains[0].off()
	for _, d := range n.domains {
		t.Run("replicas of "+d.Name(), func(t *testing.T) { n.part(t).wantReplicas(d.part(t)) })
		t.Run("snapshots of "+d.Name(), func(t *testing.T) { n.part(t).wantSnapshots(d.part(t)) })
	}
	n.end()
	if now := objects(t); now != before {
		t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
}

func newNights(t *testing.T) *nights {
	t.Helper()
	n := &nights{t: t, began: time.Now()}
	n.here, n.there = replicaDir(t, "/var/lib/lab/btrfs"), replicaDir(t, "/var/lib/lab/xfs")
	disks := small(lab.QcowFile, lab.ThinLV, lab.RBD)
	disks[1].Size = 96 << 20
	var all []*lab.Domain
	for _, disk := range disks {
		all = append(all, lab.NewTestDomain(t, lab.Options{Disks: []lab.Disk{disk}}))
	}
	n.p = newProgram(t)
	here, there := "file:"+n.here, n.p.sshd(sshd{dir: n.there, address: otherHost(t), namespace: otherNetwork})
	places := [][]string{{here, there}, {here, there}, {there}}
	n.config = fmt.Sprintf("keep-daily=%d replica-keep-daily=%d\n", keptHere, keptThere)
	for i, d := range all {
		n.domains = append(n.domains, &sleeper{machine: n.p.machine(d, 1), places: places[i]})
		n.config += d.Name() + " replicate=" + strings.Join(places[i], ",") + "\n"
	}
	n.config += "!*\n"
	n.domains[0].on()
	t.Cleanup(func() { setClock(t, n.began.Add(time.Since(n.began))) })
	return n
}

func replicaDir(t *testing.T, in string) string {
	t.Helper()
	dir, err := os.MkdirTemp(in, "replicas-")
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	return dir
}

const otherNetwork = "other"

// otherHost is a network of its own, with an address that the lab's own reaches.
func otherHost(t *testing.T) (address string) {
	t.Helper()
	for _, line := range []string{
		"netns add other", "link add lab0 type veth peer name lab1 netns other",
		"address add 192.0.2.1/24 dev lab0", "link set lab0 up",
		"-n other address add 192.0.2.2/24 dev lab1", "-n other link set lab1 up", "-n other link set lo up",
	} {
		tool(t, "ip", strings.Fields(line)...)
	}
	t.Cleanup(func() { tool(t, "ip", "netns", "delete", otherNetwork) })
	return "192.0.2.2"
}

// setClock sets that of the lab, a whole kernel's.
func setClock(t *testing.T, now time.Time) {
	t.Helper()
	tool(t, "date", "--set", now.Format(time.RFC3339))
}

func (n *nights) part(t *testing.T) *nights {
	sub, p := *n, *n.p
	p.t, sub.t, sub.p = t, t, &p
	return &sub
}

func (d *sleeper) part(t *testing.T) *sleeper {
	sub, m, p := *d, *d.machine, *d.p
	p.t, m.t, m.p = t, t, &p
	sub.machine = &m
	return &sub
}

// evening comes two hours after midnight of the next day, when everybody has worked. The second domain has more to do before the crash, so that
// there is something to crash into.
func (n *nights) evening(night int) {
	n.t.Helper()
	setClock(n.t, n.began.UTC().Truncate(day).Add(time.Duration(night)*day+2*time.Hour))
	for i, d := range n.domains {
		size := 100 << 10
		if i == 1 && night == crashNight {
			size = 64 << 20
		}
		d.work(fmt.Sprintf("night-%d", night), size)
	}
}

// work adds a file, from inside where somebody is.
func (d *sleeper) work(name string, size int) {
	d.t.Helper()
	active, err := d.Libvirt().IsActive()
	check(d.t, err)
	if active {
		out, err := d.Exec(d.t.Context(), fmt.Sprintf("cd /mnt/vda && head -c %d /dev/urandom >%s && sync && sha256sum %[2]s", size, name))
		check(d.t, err)
		d.files = append(d.files, out)
		return
	}
	data := make([]byte, size)
	_, _ = rand.Read(data)
	check(d.t, d.Mounted(d.t.Context(), "vda", func(dir string) error { return os.WriteFile(filepath.Join(dir, name), data, 0o600) }))
	d.files = append(d.files, fmt.Sprintf("%x  %s\n", sha256.Sum256(data), name))
}

// crash kills the whole night while it brings the second domain to the other host and a part of that is there, durably. Then
// the host comes up again.
func (n *nights) crash() {
	n.t.Helper()
	cmd := n.p.nightly(n.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = n.t.Output()
	check(n.t, cmd.Start())
	over, victim := make(chan struct{}), n.domains[1]
	go func() {
		_ = cmd.Wait()
		close(over)
	}()
	for !n.halfWay(victim) {
		select {
		case <-over:
			n.t.Fatalf("nothing was seen on its way to the other host until the night was over: %v", cmd.ProcessState)
		case <-time.After(time.Millisecond):
		}
	}
	check(n.t, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
	<-over
	if !n.halfWay(victim) {
		n.t.Fatal("it was over before it could be killed")
	}
	var recovered struct{ Domains []orchestrator.Recovered }
	n.p.must(&recovered, "recover")
	n.p.must(&recovered, "recover")
	if len(recovered.Domains) > 0 {
		n.t.Errorf("a second recover did %+v", recovered)
	}
}

// halfWay says whether a part of something has got to the other host.
func (n *nights) halfWay(d *sleeper) bool {
	n.t.Helper()
	uuid, err := d.Libvirt().GetUUIDString()
	check(n.t, err)
	found, _ := filepath.Glob(filepath.Join(n.there, uuid, "*", "manifest.json"))
	return slices.ContainsFunc(found, func(path string) bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(text), `"inbound"`) && someDone.Match(text)
	})
}

// wantReport: every domain was taken, and got to its places from what was there.
func (n *nights) wantReport(number int, report night) {
	n.t.Helper()
	if !report.OK || len(report.Domains) != len(n.domains) {
		n.t.Fatalf("the report is %+v", report)
	}
	for _, r := range report.Domains {
		d := n.domains[slices.IndexFunc(n.domains, func(d *sleeper) bool { return d.Name() == r.Domain })]
		var got []string
		for _, s := range r.Replicated {
			if (s.Base == nil) != (number == 1) {
				n.t.Errorf("in night %d %s went to %s from %v", number, s.Snapshot, s.To, s.Base)
			}
			got = append(got, fmt.Sprintf("%s to %s, resumed: %t", s.Snapshot, s.To, s.Resumed))
		}
		if want := n.due(d, number, r.Snapshot); !slices.Equal(got, want) {
			n.t.Errorf("replicated were %q, want %q", got, want)
		}
	}
}

// due are the replicas that a night is to make of a domain: after the crash what it has cut, too, and that first.
func (n *nights) due(d *sleeper, number int, snapshot string) (all []string) {
	for _, place := range d.places {
		if number == crashNight+1 && d == n.domains[1] && place == d.places[1] {
			all = append(all, fmt.Sprintf("%s to %s, resumed: true", d.taken[crashNight-1].name, place))
		}
		all = append(all, fmt.Sprintf("%s to %s, resumed: false", snapshot, place))
	}
	return all
}

// remember reads what was taken, by other means than those that will be trusted with it.
func (n *nights) remember(number int) {
	n.t.Helper()
	for _, d := range n.domains {
		for _, s := range n.p.list(d.Name()) {
			if !slices.ContainsFunc(d.taken, func(t snapshotOfNight) bool { return t.name == s.Name }) {
				d.taken = append(d.taken, snapshotOfNight{number, s.Name, d.sourceSums(s.Name)["vda"]})
			}
		}
	}
}
