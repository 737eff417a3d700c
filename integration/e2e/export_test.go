//go:build lab

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
)

// exporter is a running guest with two snapshots, and their content as qemu-img reads it.
type exporter struct {
	*machine
	dir string
	// guest is what the guest had at the first snapshot.
	guest string
	sums  map[string]map[string]string
}

// TestExport: whatever the storage, a snapshot is exported the same way, and stays as long as it is.
func TestExport(t *testing.T) {
	before := objects(t)
	x := &exporter{machine: startMachine(t, five()), dir: t.TempDir(), sums: map[string]map[string]string{}}
	x.twoSnapshots()
	for _, target := range x.targets {
		t.Run("files "+target, func(t *testing.T) { x.part(t).files(target) })
		t.Run("changes "+target, func(t *testing.T) { x.part(t).changes(target) })
		t.Run("nbd "+target, func(t *testing.T) { x.part(t).nbd(target) })
	}
	t.Run("described", func(t *testing.T) { x.part(t).described() })
	t.Run("left half-way", func(t *testing.T) { x.part(t).interrupted() })
	t.Run("deleted meanwhile", func(t *testing.T) { x.part(t).deletedMeanwhile() })
	t.Run("killed", func(t *testing.T) { x.part(t).killed() })
	x.machine.off()
	t.Run("reverted meanwhile", func(t *testing.T) { x.part(t).revertedMeanwhile() })
	x.deleteEverything()
	if now := objects(t); now != before {
		t.Errorf("the storages hold:\n%s\nbefore:\n%s", now, before)
	}
}

// part is the exporter in a part of a test.
func (x *exporter) part(t *testing.T) *exporter {
	sub, m, p := *x, *x.machine, *x.p
	p.t, m.t, m.p = t, t, &p
	sub.machine = &m
	return &sub
}

// twoSnapshots: a writer goes on meanwhile, and some of what there was is zero afterwards.
func (x *exporter) twoSnapshots() {
	_, err := x.Control(x.t.Context(), fmt.Sprintf(writer, strings.Join(x.targets, " ")))
	check(x.t, err)
	x.fill(1)
	x.guest = x.guestSums()
	for i, name := range []string{"one", "two"} {
		x.p.create(x.Name(), name, "--quiesce", "require")
		x.sums[name] = x.sourceSums(name)
		if i == 0 {
			_, err := x.Control(x.t.Context(), "for d in "+strings.Join(x.targets, " ")+"; do "+
				"dd if=/dev/zero of=/mnt/$d/data bs=64k count=16 conv=notrunc 2>/dev/null; done; sync")
			check(x.t, err)
		}
	}
	if maps.Equal(x.sums["one"], x.sums["two"]) {
		x.t.Fatal("nothing has changed")
	}
}

func (x *exporter) export(name, target string, options ...string) orchestrator.Exported {
	x.t.Helper()
	var e orchestrator.Exported
	x.p.must(&e, append([]string{"snapshot-export", x.Name(), name, "--disk", target}, options...)...)
	return e
}

// file is a path of the target's that is not there yet, or the one that is.
func (x *exporter) file(target, name string) string { return filepath.Join(x.dir, target+"-"+name) }

func (x *exporter) wantSum(path, format, want string) {
	x.t.Helper()
	raw := path
	if format != "raw" {
		raw = filepath.Join(x.t.TempDir(), "raw")
		tool(x.t, "qemu-img", "convert", "-f", format, "-O", "raw", path, raw)
	}
	if sum := strings.Fields(tool(x.t, "sha256sum", raw))[0]; sum != want {
		x.t.Errorf("%s holds %s, want %s", path, sum, want)
	}
}

// files exports the disk in both formats.
func (x *exporter) files(target string) {
	one := x.file(target, "one.raw")
	e := x.export("one", target, "--file", one)
	x.wantSum(one, "raw", x.sums["one"][target])
	info, err := os.Stat(one)
	check(x.t, err)
	st, _ := info.Sys().(*syscall.Stat_t)
	if e.Size != info.Size() || e.BytesWritten > e.Size/2 || st.Blocks*512 > info.Size()/2 || info.Mode().Perm() != 0o600 {
		x.t.Errorf("%+v: %d bytes take %d, mode %s", e, info.Size(), st.Blocks*512, info.Mode())
	}
	data := filepath.Join(x.t.TempDir(), "data")
	tool(x.t, "debugfs", "-R", "dump /data "+data, one)
	if sum := strings.Fields(tool(x.t, "sha256sum", data))[0]; !strings.Contains(x.guest, target+" "+sum) {
		x.t.Errorf("%s: the export has a file of %s, the guest had\n%s", target, sum, x.guest)
	}
	qcow2 := x.file(target, "one.qcow2")
	x.export("one", target, "--file", qcow2, "--format", "qcow2")
	x.wantSum(qcow2, "qcow2", x.sums["one"][target])
	x.p.fails(6, "snapshot-export", x.Name(), "one", "--disk", target, "--file", one)
	x.wantSum(one, "raw", x.sums["one"][target])
}

// extents is what is in the list beside a raw file.
func (x *exporter) extents(path string) []methods.Extent {
	x.t.Helper()
	var list struct {
		Size    int64
		Extents []methods.Extent
	}
	text, err := os.ReadFile(path)
	check(x.t, err)
	check(x.t, json.Unmarshal(text, &list))
	return list.Extents
}

// changes exports what differs, and puts it onto what there was.
func (x *exporter) changes(target string) {
	since, base := x.file(target, "since.raw"), filepath.Join(x.t.TempDir(), "base.raw")
	e := x.export("two", target, "--since", "one", "--file", since)
	changed := x.extents(e.ExtentsFile)
	if len(changed) != e.Extents || e.Extents == 0 || e.BytesWritten >= e.Size/2 {
		x.t.Errorf("%+v: %d extents are listed", e, len(changed))
	}
	tool(x.t, "cp", "--sparse=always", x.file(target, "one.raw"), base)
	x.overwrite(base, since, changed)
	x.wantSum(base, "raw", x.sums["two"][target])

	overlay := x.file(target, "since.qcow2")
	x.export("two", target, "--since", "one", "--file", overlay, "--format", "qcow2")
	tool(x.t, "cp", "--sparse=always", x.file(target, "one.raw"), base)
	tool(x.t, "qemu-img", "rebase", "-u", "-f", "qcow2", "-b", base, "-F", "raw", overlay)
	x.wantSum(overlay, "qcow2", x.sums["two"][target])
	tool(x.t, "qemu-img", "commit", "-q", "-f", "qcow2", overlay)
	x.wantSum(base, "raw", x.sums["two"][target])
}

func (x *exporter) overwrite(base, from string, extents []methods.Extent) {
	x.t.Helper()
	in, err := os.Open(from)
	check(x.t, err)
	defer in.Close()
	out, err := os.OpenFile(base, os.O_WRONLY, 0)
	check(x.t, err)
	defer out.Close()
	for _, e := range extents {
		_, err := io.Copy(io.NewOffsetWriter(out, e.Offset), io.NewSectionReader(in, e.Offset, e.Length))
		check(x.t, err)
	}
}

// serving is an export that others can read.
type serving struct {
	*exec.Cmd
	out    strings.Builder
	socket string
}

func (s *serving) uri() string { return "nbd+unix:///?socket=" + s.socket }

// serve starts an export and waits until it can be read.
func (x *exporter) serve(name, target string, options ...string) *serving {
	x.t.Helper()
	s := &serving{socket: x.file(target, "socket")}
	s.Cmd = x.p.Command(x.t.Context(), append([]string{"snapshot-export", x.Name(), name, "--disk", target, "--nbd", "unix:" + s.socket}, options...)...)
	s.Stdout, s.Stderr = &s.out, x.t.Output()
	check(x.t, s.Start())
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("unix", s.socket)
		if err == nil {
			check(x.t, conn.Close())
			info, err := os.Stat(s.socket)
			check(x.t, err)
			if info.Mode() != os.ModeSocket|0o600 {
				x.t.Errorf("%s has mode %s", s.socket, info.Mode())
			}
			return s
		}
		if time.Now().After(end) {
			x.t.Fatalf("nothing is served at %s: %v, %s", s.socket, err, s.out.String())
		}
	}
}

// ended waits for the end of an export that went well.
func (x *exporter) ended(s *serving) (e orchestrator.Exported) {
	x.t.Helper()
	if err := s.Wait(); err != nil {
		x.t.Fatalf("the export ended with %v: %s", err, s.out.String())
	}
	check(x.t, json.Unmarshal([]byte(s.out.String()), &e))
	if left, _ := filepath.Glob(s.socket + "*"); len(left) > 0 {
		x.t.Errorf("left are %q", left)
	}
	return e
}

// nbd has QEMU's and libnbd's tools read the disk.
func (x *exporter) nbd(target string) {
	s := x.serve("one", target)
	tool(x.t, "qemu-img", "compare", "-f", "raw", "-F", "raw", s.uri(), x.file(target, "one.raw"))
	if e := x.ended(s); e.NBD != s.uri() || e.Since != nil {
		x.t.Errorf("%+v", e)
	}
	s = x.serve("two", target, "--since", "one")
	var marked []struct {
		Offset, Length, Type int64
	}
	check(x.t, json.Unmarshal([]byte(tool(x.t, "nbdinfo", "--json", "--map=qemu:dirty-bitmap:changes", s.uri())), &marked))
	if e := x.ended(s); e.Context != "qemu:dirty-bitmap:changes" || e.Extents == 0 {
		x.t.Errorf("%+v", e)
	}
	var dirty []methods.Extent
	for _, m := range marked {
		if m.Type == 1 {
			dirty = append(dirty, methods.Extent{Offset: m.Offset, Length: m.Length})
		}
	}
	x.copied(target, dirty)
}

// copied has libnbd copy the disk, and puts just what is marked onto what there was.
func (x *exporter) copied(target string, dirty []methods.Extent) {
	base, two := filepath.Join(x.t.TempDir(), "base.raw"), filepath.Join(x.t.TempDir(), "two.raw")
	s := x.serve("two", target)
	tool(x.t, "nbdcopy", s.uri(), two)
	x.ended(s)
	x.wantSum(two, "raw", x.sums["two"][target])
	tool(x.t, "cp", "--sparse=always", x.file(target, "one.raw"), base)
	x.overwrite(base, two, dirty)
	x.wantSum(base, "raw", x.sums["two"][target])
	if total := methods.TotalLength(dirty); total == 0 || total > 24<<20 {
		x.t.Errorf("%d bytes are marked as changed", total)
	}
}

// described has libnbd say what is served.
func (x *exporter) described() {
	s := x.serve("one", x.targets[0])
	info := tool(x.t, "nbdinfo", s.uri())
	if e := x.ended(s); !strings.Contains(info, fmt.Sprintf("export-size: %d", e.Size)) || !strings.Contains(info, "is_read_only: true") {
		x.t.Errorf("nbdinfo says\n%s", info)
	}
}

// interrupted: what ends half-way leaves nothing, and what is killed nothing that is in the way.
func (x *exporter) interrupted() {
	target, path := x.targets[0], x.file(x.targets[0], "again.qcow2")
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		cmd := x.p.Command(x.t.Context(), "snapshot-export", x.Name(), "one", "--disk", target, "--file", path, "--format", "qcow2")
		check(x.t, cmd.Start())
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if _, err := os.Stat(path + ".domsnap-partial"); err == nil {
				break
			}
		}
		check(x.t, cmd.Process.Signal(signal))
		if err := cmd.Wait(); err == nil {
			x.t.Error("it was over before it could be interrupted")
		}
		left, _ := filepath.Glob(path + "*")
		if killed := signal == syscall.SIGKILL; killed != (len(left) == 1) {
			x.t.Errorf("after %s there are %q", signal, left)
		}
	}
	x.export("one", target, "--file", path, "--format", "qcow2")
	x.wantSum(path, "qcow2", x.sums["one"][target])
	if left, _ := filepath.Glob(path + "*"); len(left) != 1 {
		x.t.Errorf("there are %q", left)
	}
}

// deletedMeanwhile: neither what is read goes, nor what it is built on, until it has been read.
func (x *exporter) deletedMeanwhile() {
	s := x.serve("two", "vda")
	for _, name := range []string{"two", "one"} {
		r := x.p.delete(x.Name(), name)
		if len(r.PendingDelete) != 1 || !strings.Contains(r.PendingDelete[0].Because[0], fmt.Sprintf("process %d (snapshot-export", s.Process.Pid)) {
			x.t.Errorf("delete of %s: %+v", name, r)
		}
	}
	two := x.named("two")
	if two.State != orchestrator.StatePendingDelete || len(two.Holds) != 1 || !slices.Contains(two.Dependents, two.Holds[0].String()) {
		x.t.Errorf("%+v", two)
	}
	x.p.create(x.Name(), "three")
	x.sums["three"] = x.sourceSums("three")
	x.p.fails(6, "snapshot-export", x.Name(), "two", "--disk", "vda", "--file", x.file("vda", "late"))
	out := filepath.Join(x.t.TempDir(), "two.raw")
	tool(x.t, "qemu-img", "convert", "-f", "raw", "-O", "raw", s.uri(), out)
	x.wantSum(out, "raw", x.sums["two"]["vda"])
	e := x.ended(s)
	slices.Sort(e.Deleted)
	if !slices.Equal(e.Deleted, []string{"one", "two"}) {
		x.t.Errorf("%+v", e)
	}
	x.checkSnapshot("three", x.sums["three"])
}

// killed: the hold ends with the exporter, and what waited for it goes when somebody looks.
func (x *exporter) killed() {
	s := x.serve("three", "vdc")
	if r := x.p.delete(x.Name(), "three"); len(r.PendingDelete) != 1 {
		x.t.Errorf("%+v", r)
	}
	check(x.t, s.Process.Kill())
	_ = s.Wait()
	for end := time.Now().Add(10 * time.Second); len(x.named("three").Holds) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			x.t.Fatal("it is held still")
		}
	}
	var found orchestrator.CheckResult
	x.p.must(&found, "check", x.Name())
	if len(found.Findings) != 1 || found.Findings[0].Kind != orchestrator.FoundNeedless {
		x.t.Errorf("%+v", found)
	}
	var recovered struct{ Domains []orchestrator.Recovered }
	x.p.must(&recovered, "recover", x.Name())
	if len(recovered.Domains) != 1 || len(x.p.list(x.Name())) != 0 {
		x.t.Errorf("%+v", recovered)
	}
	x.p.create(x.Name(), "four")
	s = x.serve("four", "vdc")
	check(x.t, s.Process.Signal(syscall.SIGTERM))
	x.ended(s)
}

// revertedMeanwhile: a revert leaves what is read as it is. An image that QEMU has open in Ceph, also to read a snapshot of it,
// looks like one that is written to.
func (x *exporter) revertedMeanwhile() {
	want := x.sourceSums("four")
	s := x.serve("four", "vde")
	if said := x.p.fails(6, "snapshot-revert", x.Name(), "four", "--no-safety"); !strings.Contains(said, "(snapshot-export") {
		x.t.Errorf("it said %s", said)
	}
	check(x.t, s.Process.Signal(syscall.SIGTERM))
	x.ended(s)
	var all []*serving
	for _, target := range x.targets[:4] {
		all = append(all, x.serve("four", target))
	}
	x.p.revert(x.Name(), "four", "--no-safety")
	x.checkPresent(want)
	for i, s := range all {
		out := filepath.Join(x.t.TempDir(), "four.raw")
		tool(x.t, "qemu-img", "convert", "-f", "raw", "-O", "raw", s.uri(), out)
		x.wantSum(out, "raw", want[x.targets[i]])
		x.ended(s)
	}
}
