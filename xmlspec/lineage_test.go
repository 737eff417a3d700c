package xmlspec_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/domsnap/domsnap/xmlspec"
)

// sameRecords compares what callers see of two lineages, not how it is stored.
var sameRecords = cmp.Options{
	cmpopts.IgnoreFields(xmlspec.Lineage{}, "XMLName", "Layouts"),
	cmpopts.IgnoreFields(xmlspec.LineageSnapshot{}, "Layout"),
	cmpopts.EquateEmpty(),
}

func roundTrip(l *xmlspec.Lineage) (*xmlspec.Lineage, string, error) {
	text, err := l.Marshal()
	if err != nil {
		return nil, "", err
	}
	again, err := xmlspec.ParseLineage(text)
	return again, text, err
}

func wantRoundTrip(t *testing.T, l *xmlspec.Lineage) string {
	t.Helper()
	again, text, err := roundTrip(l)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l, again, sameRecords); diff != "" {
		t.Errorf("%s\nread from %s", diff, text)
	}
	return text
}

func TestEmptyTextIsAnEmptyLineage(t *testing.T) {
	for _, text := range []string{"", " \n"} {
		l, err := xmlspec.ParseLineage(text)
		if err != nil || l.Current != "" || len(l.Snapshots) > 0 {
			t.Errorf("%q is read as %+v, %v", text, l, err)
		}
	}
}

func TestLineageWithALayoutThatIsNotThereIsAnError(t *testing.T) {
	text := `<lineage xmlns="` + xmlspec.LineageNamespace + `"><s id="sone" name="one" layout="3"/></lineage>`
	if _, err := xmlspec.ParseLineage(text); err == nil {
		t.Error("it was read")
	}
}

func TestLineageSurvivesHostileNames(t *testing.T) {
	for _, name := range []string{
		"{", "}", "{id}", "{{id}", "{{}", "{parent}", "{{}id}", "/img/{id}/sone.qcow2", "stwosone{stwo}", `a'b"c<d>&e`, " spaces ", "tab\tline\n", "äöü", "{pare{id}nt}",
	} {
		t.Run(name, func(t *testing.T) {
			disk := xmlspec.LineageDisk{Target: "vda", Method: "qemu", File: name, Origin: name, Name: name, Active: name, Size: 1}
			wantRoundTrip(t, &xmlspec.Lineage{Current: "stwo", Snapshots: []xmlspec.LineageSnapshot{
				{ID: "sone", Name: name, Description: name, Level: "crash", Disks: []xmlspec.LineageDisk{disk}},
				{ID: "stwo", Name: "two", Parent: "sone", Level: "crash", Skipped: []string{name}, Disks: []xmlspec.LineageDisk{disk}},
			}})
		})
	}
}

// anyName draws from the pieces that the templates of a layout are made of.
func anyName(ids []string) *rapid.Generator[string] {
	pieces := append([]string{"{", "}", "{id}", "{parent}", "/img/", ".qcow2", "x"}, ids...)
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 6).Draw(t, "pieces"), "")
	})
}

func anyLineage(t *rapid.T) *xmlspec.Lineage {
	ids := []string{"saaaa", "sbbbb", "scccc"}
	names := anyName(ids)
	l := &xmlspec.Lineage{Current: "scccc"}
	for i, id := range ids {
		s := xmlspec.LineageSnapshot{ID: id, Name: id, Level: "crash"}
		if i > 0 && rapid.Bool().Draw(t, "child") {
			s.Parent = ids[i-1]
		}
		for _, target := range []string{"vda", "vdb"} {
			s.Disks = append(s.Disks, xmlspec.LineageDisk{
				Target: target, Method: "m", File: names.Draw(t, "file"), Origin: names.Draw(t, "origin"),
				Name: names.Draw(t, "name"), Active: names.Draw(t, "active"),
			})
		}
		l.Snapshots = append(l.Snapshots, s)
	}
	return l
}

func TestLineageSurvivesAnyNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := anyLineage(t)
		again, text, err := roundTrip(l)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(l, again, sameRecords); diff != "" {
			t.Fatalf("%s\nread from %s", diff, text)
		}
	})
}

// bigLineage is n snapshots of four disks in a chain, as they come to be by the night: one file, one volume, one
// subvolume, one image.
func bigLineage(n int) *xmlspec.Lineage {
	l := &xmlspec.Lineage{}
	for i := range n {
		id := fmt.Sprintf("s%09d", i)
		image := "/var/lib/libvirt/images/web1.qcow2"
		if l.Current != "" {
			image = "/var/lib/libvirt/images/web1.ds-" + l.Current + "-vda.qcow2"
		}
		l.Snapshots = append(l.Snapshots, xmlspec.LineageSnapshot{
			ID: id, Name: fmt.Sprintf("nightly-2026-%04d", i), Parent: l.Current, Created: 1795143600 + int64(i),
			Level: "filesystem", HeldBy: "hold", FrozenMS: 250, Frozen: 4, Thawed: 4,
			Disks: []xmlspec.LineageDisk{
				{Target: "vda", Method: "qemu", Mode: "external", Format: "qcow2", File: image, Origin: image, Name: image,
					Active: "/var/lib/libvirt/images/web1.ds-" + id + "-vda.qcow2", Size: 20 << 30},
				{Target: "vdb", Method: "lvm", Mode: "thin", Format: "raw", Dev: "/dev/vg0/web1", Origin: "vg0/web1", Name: "ds-" + id + "-vdb", Size: 100 << 30},
				{Target: "vdc", Method: "btrfs", Format: "raw", File: "/data/web1/disk.raw", Origin: "/data/web1", Name: "/data/.snapshots/ds-" + id + "-vdc", Size: 100 << 30},
				{Target: "vdd", Method: "rbd", Format: "raw", Origin: "rbd/web1", Name: "ds-" + id + "-vdd", Size: 100 << 30,
					RBD: &xmlspec.LineageRBD{Pool: "rbd", Image: "web1", User: "libvirt", Monitors: []string{"10.0.0.1:6789", "10.0.0.2:6789"}}},
			},
		})
		l.Current = id
	}
	return l
}

func TestAThousandSnapshotsFitIntoTheMetadata(t *testing.T) {
	const limit = 128 << 10
	text := wantRoundTrip(t, bigLineage(1000))
	t.Logf("1000 snapshots of 4 disks take %d bytes", len(text))
	if len(text) > limit {
		t.Errorf("they take %d bytes, more than %d", len(text), limit)
	}
}

func TestForgetJoinsWhatItParted(t *testing.T) {
	l := bigLineage(3)
	l.Forget("s000000001")
	if len(l.Snapshots) != 2 || l.Snapshots[1].Parent != "s000000000" || l.Current != "s000000002" {
		t.Errorf("the middle is forgotten: %+v", l)
	}
	l.Forget("s000000002")
	if l.Current != "s000000000" {
		t.Errorf("the current one is forgotten: current is %q", l.Current)
	}
	l.Forget("s000000002")
	l.Forget("s000000000")
	if l.Current != "" || len(l.Snapshots) > 0 {
		t.Errorf("all are forgotten: %+v", l)
	}
}

func TestRecordsSurviveTheForgettingOfTheirParent(t *testing.T) {
	l := bigLineage(3)
	want := l.Snapshots[2].Disks
	l.Forget("s000000001")
	again, _, err := roundTrip(l)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, again.Snapshots[1].Disks); diff != "" {
		t.Error(diff)
	}
}

func TestStrayIsWhereADiskDerivesFromAnother(t *testing.T) {
	l := bigLineage(3)
	l.Stray("vda", "s000000000")
	l.Stray("vdb", "s000000001")
	l.Stray("vda", "s000000001")
	want := []xmlspec.Position{{Target: "vdb", Snapshot: "s000000001"}, {Target: "vda", Snapshot: "s000000001"}}
	if diff := cmp.Diff(want, l.Strayed); diff != "" {
		t.Error(diff)
	}
	l.Stray("vda", l.Current)
	if diff := cmp.Diff(want[:1], l.Strayed); diff != "" {
		t.Errorf("after it came back: %s", diff)
	}
}

func TestReplaceChangesOneRecord(t *testing.T) {
	l := bigLineage(3)
	disk := l.Snapshots[1].Disks[0]
	disk.Name = "/elsewhere"
	l.Replace("s000000001", disk)
	want := bigLineage(3)
	want.Snapshots[1].Disks[0].Name = "/elsewhere"
	if diff := cmp.Diff(want, l, sameRecords); diff != "" {
		t.Error(diff)
	}
}

func TestInStateListsOldestFirst(t *testing.T) {
	l := bigLineage(3)
	l.Snapshots[0].State, l.Snapshots[2].State = "pending-delete", "pending-delete"
	if diff := cmp.Diff([]string{"s000000000", "s000000002"}, l.InState("pending-delete")); diff != "" {
		t.Error(diff)
	}
}

func TestSettleLeavesTheOtherDisksWhereTheyAre(t *testing.T) {
	disk := func(target string) xmlspec.LineageDisk { return xmlspec.LineageDisk{Target: target} }
	l := &xmlspec.Lineage{Current: "sone", Snapshots: []xmlspec.LineageSnapshot{
		{ID: "sone", Disks: []xmlspec.LineageDisk{disk("vda"), disk("vdb")}},
		{ID: "stwo", Disks: []xmlspec.LineageDisk{disk("vda")}},
	}}
	l.Settle("stwo", []string{"vda"})
	if diff := cmp.Diff([]xmlspec.Position{{Target: "vdb", Snapshot: "sone"}}, l.Strayed); diff != "" || l.Current != "stwo" {
		t.Errorf("current is %s, strayed: %s", l.Current, diff)
	}
	l.Settle("sone", []string{"vda", "vdb"})
	if len(l.Strayed) > 0 || l.Current != "sone" {
		t.Errorf("current is %s, strayed %v", l.Current, l.Strayed)
	}
}

// What there is room for can be read again, and what cannot is not written.
func TestLineageIsFullBeforeItCannotBeRead(t *testing.T) {
	l := bigLineage(1)
	for n := 1; ; n += 50 {
		more := bigLineage(n + 50)
		next := more.Snapshots[n]
		if err := l.CheckRoom(next, xmlspec.Room); err != nil {
			t.Logf("%d snapshots: %v", n, err)
			break
		}
		l = more
	}
	text, err := l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := xmlspec.ParseLineage(text); err != nil {
		t.Error(err)
	}
	if _, err := bigLineage(20_000).Marshal(); err == nil {
		t.Error("a lineage that nobody can read is written")
	}
}
