package orchestrator_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/xmlspec"
)

// leftOutDisks are disks that can take no part, each with the reason.
var leftOutDisks = map[string]fakeDisk{
	"a cdrom":                   {target: "sda", device: "cdrom", file: memory.Prefix + "iso"},
	"a floppy":                  {target: "sda", device: "floppy", file: memory.Prefix + "floppy"},
	"a lun, passed through":     {target: "sda", device: "lun", kind: "block", source: "<source dev='/dev/sdz'/>"},
	"read-only":                 {target: "sda", file: memory.Prefix + "ro", extra: "<readonly/>"},
	"shared with other domains": {target: "sda", file: memory.Prefix + "shared", extra: "<shareable/>"},
	"transient":                 {target: "sda", file: memory.Prefix + "gone", extra: "<transient/>"},
	"empty":                     {target: "sda", kind: "file", source: " "},
	"vhost-user":                {target: "sda", kind: "vhostuser", source: "<source type='unix' path='/run/vhost.sock'/>"},
}

func TestDisksThatCanTakeNoPartAreLeftOutWithTheReason(t *testing.T) {
	for why, disk := range leftOutDisks {
		t.Run(why, func(t *testing.T) {
			r := newRig(t)
			r.addDisk(disk, "content")
			p, err := r.PlanCreate(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]orchestrator.Skipped{{Target: "sda", Why: why}}, p.Skipped); diff != "" || len(p.Disks) != 2 {
				t.Errorf("the plan has %d disks; left out: %s", len(p.Disks), diff)
			}
			s := r.take("one")
			if diff := cmp.Diff([]string{"sda: " + why}, s.Consistency.Skipped); diff != "" {
				t.Error(diff)
			}
			r.wantNamingIsAnError("sda")
		})
	}
}

func (r *rig) wantNamingIsAnError(target string) {
	r.t.Helper()
	d := r.parse("<domainsnapshot><disks>\n<disk name='" + target + "'/></disks></domainsnapshot>")
	_, err := r.Create(r.t.Context(), orchestrator.CreateOptions{Domain: "web1", Descriptor: d})
	var syntax *xmlspec.SyntaxError
	if !errors.As(err, &syntax) || syntax.Line != 2 {
		r.t.Errorf("naming %s: %v", target, err)
	}
}

func TestDescriptorMayLeaveOutWhatIsLeftOutAnyway(t *testing.T) {
	r := newRig(t)
	r.addDisk(leftOutDisks["read-only"], "content")
	d := r.parse("<domainsnapshot><disks><disk name='sda' snapshot='no'/><disk name='vdb' snapshot='no'/></disks></domainsnapshot>")
	s, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Descriptor: d})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"vda": "memory"}, methodsOf(s)); diff != "" {
		t.Error(diff)
	}
}

func TestDescriptorDecides(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"a disk that is not there", "<disk name='vdz'/>", orchestrator.ErrNotFound},
		{"a method that is not there", "<disk name='vda'><diskSnapshot method='zfs'/></disk>", methods.ErrUnsupported},
		{"no disk at all", "<disk name='vda' snapshot='no'/><disk name='vdb' snapshot='no'/>", orchestrator.ErrRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			d := r.parse("<domainsnapshot><disks>" + c.text + "</disks></domainsnapshot>")
			_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Descriptor: d})
			wantError(t, err, c.want)
			r.wantNames()
		})
	}
}

func TestOptionOfAMethodThatItDoesNotKnowSaysWhere(t *testing.T) {
	r := newRig(t)
	d := r.parse("<domainsnapshot><disks>\n<disk name='vda'><diskSnapshot method='memory' resreve='5'/></disk></disks></domainsnapshot>")
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Descriptor: d})
	var syntax *xmlspec.SyntaxError
	if !errors.As(err, &syntax) || syntax.Line != 2 {
		t.Errorf("the error is %v", err)
	}
}

func TestVolumeIsResolvedThroughItsPool(t *testing.T) {
	r := newRig(t)
	r.addDisk(fakeDisk{target: "vdc", kind: "volume", source: "<source pool='fast' volume='v1'/>"}, "")
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
	wantError(t, err, orchestrator.ErrNotFound)

	r.store.SetDisk(memory.Prefix+"v1", []byte("volume"))
	r.host.volumes = map[string]xmlspec.DiskSource{"fast/v1": {File: memory.Prefix + "v1"}}
	s := r.take("one")
	if got := string(r.store.Snapshot(s.Disks[2].Ref)); got != "volume" {
		t.Errorf("its snapshot holds %q", got)
	}
}

func TestUnsafeCacheIsRefusedBelowAGuestThatRuns(t *testing.T) {
	r := newRig(t, func(r *rig) methods.Method { return belowQEMU{memory.New(r.store, memory.Options{Name: "below"})} })
	r.addDisk(fakeDisk{target: "vdc", file: memory.Prefix + "vdc", cache: "unsafe"}, "content")
	d := useMethod("below", "vdc")
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Descriptor: d})
	wantError(t, err, methods.ErrBlocked)
	r.wantNames()
	r.off()
	if _, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Descriptor: d}); err != nil {
		t.Error(err)
	}
}

// belowQEMU reads the storage under QEMU.
type belowQEMU struct{ *memory.Method }

// Traits implements methods.Method.
func (b belowQEMU) Traits() methods.Traits {
	t := b.Method.Traits()
	t.BelowQEMU = true
	return t
}

func TestDisksTellsWhatWouldBecomeOfEach(t *testing.T) {
	r := newRig(t)
	r.addDisk(leftOutDisks["read-only"], "content")
	r.addDisk(fakeDisk{target: "vdc", file: "/elsewhere"}, "content")
	r.store.Fail(memory.AtPlan, "vdb", errPlanned)
	list, err := r.Disks(t.Context(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Target, Method, Why string
		Blocked             int
	}
	var got []line
	for _, d := range list {
		got = append(got, line{d.Target, d.Method, d.Why, len(d.Blockers)})
	}
	want := []line{
		{"vda", "memory", "a disk in memory", 0}, {"vdb", "memory", "a disk in memory", 1},
		{"sda", "", "left out: read-only", 0}, {"vdc", "", "no method fits", 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !list[0].Probed.Snapshot || list[1].Probed.Snapshot {
		t.Errorf("the probes are %+v and %+v", list[0].Probed, list[1].Probed)
	}
}

func TestMethodReportsTellWhatEachCan(t *testing.T) {
	var method *layered
	r := newRig(t, keeping, layeredAs(&method))
	got := map[string][]bool{}
	for _, m := range r.MethodReports(t.Context()) {
		v := m.Capabilities.Verbs
		got[m.Name] = []bool{m.Works, v.Prepare, v.Revert, v.Keep, v.Merge}
	}
	want := map[string][]bool{
		"memory": {true, true, true, false, false}, "keeping": {true, true, true, true, false}, "layered": {true, true, true, false, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
