package xmlspec

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func parseDescriptor(t testing.TB, text string) *Descriptor {
	t.Helper()
	d, err := ParseDescriptor([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDescriptorReads(t *testing.T) {
	d := parseDescriptor(t, string(readFile(t, "testdata/good/design.xml")))
	if d.Name != "nightly-2026-11-20" || d.Description != "before the upgrade" || len(d.Disks) != 5 {
		t.Fatalf("got %+v", d)
	}
	if vde, ok := d.Disk("vde"); !ok || vde.Snapshot != SnapshotNo || vde.Spec != nil {
		t.Errorf("vde is %+v", vde)
	}
	vdb, _ := d.Disk("vdb")
	var body lvmBody
	if err := vdb.Spec.Decode(&body); err != nil {
		t.Fatal(err)
	}
	if vdb.Spec.Name != "lvm" || *body.Size.Percent != 20 || body.Device.Path != "/dev/vg0/lv4" {
		t.Errorf("vdb is %+v with %+v", vdb, body)
	}
	if _, ok := d.Disk("vdz"); ok {
		t.Error("there is a disk vdz")
	}
}

func TestDiskErrorHasPlace(t *testing.T) {
	d := parseDescriptor(t, "<domainsnapshot>\n<disks>\n  <disk name='vda'/>\n  <disk name='vdq'/>\n</disks>\n</domainsnapshot>")
	tests := []struct {
		disk DescriptorDisk
		want string
	}{
		{d.Disks[1], "line 4, column 3, /domainsnapshot/disks/disk[2]: no disk vdq"},
		{DescriptorDisk{Target: "vdq"}, "disk vdq: no disk vdq"},
	}
	for _, test := range tests {
		if got := test.disk.Errorf("no disk %s", test.disk.Target).Error(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestNoSpecDecodesToNothing(t *testing.T) {
	for _, spec := range []*MethodSpec{nil, {Name: "rbd"}} {
		if err := spec.Decode(&emptyBody{}); err != nil {
			t.Error(err)
		}
	}
}

func TestParseMethodSpec(t *testing.T) {
	spec, err := ParseMethodSpec([]byte("<diskSnapshot method='qemu' mode='internal'/>"))
	if err != nil {
		t.Fatal(err)
	}
	var body qemuBody
	if err := spec.Decode(&body); err != nil || spec.Name != "qemu" || body.Mode != "internal" {
		t.Errorf("got %+v, %+v, %v", spec, body, err)
	}
	for _, bad := range []string{"", "<source/>", "<diskSnapshot method='QEMU'/>"} {
		if _, err := ParseMethodSpec([]byte(bad)); !errors.As(err, new(*SyntaxError)) {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}

func TestOverride(t *testing.T) {
	d := parseDescriptor(t, "<domainsnapshot><disks><disk name='vda'><diskSnapshot method='rbd'/></disk><disk name='vdb'/></disks></domainsnapshot>")
	for _, s := range []string{"vda,snapshot=no", "vdc,method=lvm"} {
		disk, err := ParseDiskSpec(s)
		if err != nil {
			t.Fatal(err)
		}
		d.Override(disk)
	}
	want := `<domainsnapshot>
  <disks>
    <disk name='vda' snapshot='no'/>
    <disk name='vdb'/>
    <disk name='vdc'>
      <diskSnapshot method='lvm'/>
    </disk>
  </disks>
</domainsnapshot>
`
	if got := string(marshal(t, d)); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestMarshalSnapshot(t *testing.T) {
	d := parseDescriptor(t, "<domainsnapshot><name>s1</name><disks><disk name='vda' snapshot='external'/></disks></domainsnapshot>")
	d.CreationTime, d.State, d.Parent = time.Unix(1795132800, 0), "available", "s0"
	d.Disks[0].Ref = "ds-k3v9-vda"
	d.Disks[0].BackupSource = "<source file=\"/srv/a &amp; b\"/>"
	d.Disks[0].ModifiedDisk = "<disk type='file'>" + strings.Repeat("<backingStore>", 40) + strings.Repeat("</backingStore>", 40) + "<target dev='vda'/></disk>"
	want := `<domainsnapshot>
  <name>s1</name>
  <creationTime>1795132800</creationTime>
  <state>available</state>
  <parent>
    <name>s0</name>
  </parent>
  <disks>
    <disk name='vda' snapshot='external'>
      <diskSnapshot method='qemu'/>
      <ref>ds-k3v9-vda</ref>
      <backupSource>
        <source file='/srv/a &amp; b'/>
      </backupSource>
      <modifiedDisk>
        <disk type='file'>
          <target dev='vda'/>
        </disk>
      </modifiedDisk>
    </disk>
  </disks>
</domainsnapshot>
`
	if got := string(marshal(t, d)); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestMarshalRefuses(t *testing.T) {
	disk := func(d DescriptorDisk) Descriptor { return Descriptor{Disks: []DescriptorDisk{d}} }
	tests := map[string]Descriptor{
		"name":          {Name: "a/b"},
		"character":     {Description: "a\x00b"},
		"disk twice":    {Disks: []DescriptorDisk{{Target: "vda"}, {Target: "vda"}}},
		"contradiction": disk(DescriptorDisk{Target: "vda", Snapshot: SnapshotNo, Spec: &MethodSpec{Name: "rbd"}}),
		"bad source":    disk(DescriptorDisk{Target: "vda", BackupSource: "<source>"}),
		"other source":  disk(DescriptorDisk{Target: "vda", BackupSource: "<disk/>"}),
		"two sources":   disk(DescriptorDisk{Target: "vda", BackupSource: "<source/></backupSource><ref/>"}),
		"other disk":    disk(DescriptorDisk{Target: "vda", ModifiedDisk: "<source/>"}),
	}
	for name, d := range tests {
		if _, err := d.Marshal(); !errors.As(err, new(*SyntaxError)) {
			t.Errorf("%s: got %v, want a *SyntaxError", name, err)
		}
	}
}

func TestMarshalKeepsWhiteSpace(t *testing.T) {
	d := &Descriptor{Description: " a\r\n\tb ", Disks: []DescriptorDisk{{
		Target: "vda",
		Spec:   &MethodSpec{Name: "acme", Node: &Node{Attrs: []Attr{{"a", "'x'\r\n\t<&>\" "}}}},
	}}}
	again := parseDescriptor(t, string(marshal(t, d)))
	if a, _ := again.Disks[0].Spec.Node.Attr("a"); again.Description != d.Description || a != "'x'\r\n\t<&>\" " {
		t.Errorf("got %q, %q", again.Description, a)
	}
}

func TestValidName(t *testing.T) {
	good := []string{"a", "1", "s 1", "a-b.c", "Zürich", "日本", strings.Repeat("x", 128), "a\\b", "$(id)", "_"}
	bad := []string{"", "-a", ".a", "a/b", "a\nb", "a\x00", "a\u202Eb", "a\u00A0b", "\xFF", "a\x7F", strings.Repeat("x", 129)}
	for _, name := range good {
		if err := ValidName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range bad {
		if ValidName(name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
