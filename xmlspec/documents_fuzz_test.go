package xmlspec

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/integration/bounds"
)

// FuzzParseDomain reads the XML of a domain, which anybody may have defined.
func FuzzParseDomain(f *testing.F) {
	f.Add("<domain type='kvm'><name>web1</name><uuid>6f1d2c3b-0000-4000-8000-000000000001</uuid><metadata><a xmlns='b'/></metadata><devices>" +
		"<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/a'/><target dev='vda'/></disk>" +
		"<disk type='network'><source protocol='rbd' name='p/i'><host name='h' port='1'/></source><target dev='vdb'/></disk></devices></domain>")
	f.Add("<domain><devices><disk type='volume'><source pool='p' volume='v'/></disk><disk type='block'/></devices></domain>")
	f.Fuzz(func(t *testing.T, text string) {
		var d *Domain
		var err error
		bounds.Within(t, func() { d, err = ParseDomain(text) })
		if (d == nil) == (err == nil) {
			t.Errorf("%+v, %v", d, err)
		}
		if err == nil {
			checkWithoutMetadata(t, text)
		}
	})
}

func checkWithoutMetadata(t *testing.T, text string) {
	t.Helper()
	once, err := WithoutMetadata(text)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := WithoutMetadata(once); err != nil || again != once {
		t.Errorf("without metadata it is %q, and again %q, %v", once, again, err)
	}
}

// FuzzParseLineage reads a domain's metadata: what was read and is written reads the same.
func FuzzParseLineage(f *testing.F) {
	f.Add("")
	f.Add("<lineage xmlns='" + LineageNamespace + "' current='sone'><layout level='crash'><disk target='vda' method='m' origin='o' name='{id}'/></layout>" +
		"<s id='sone' name='one' time='5' layout='0'/><s id='stwo' name='two' parent='sone' time='6' layout='0'><skipped>vdb</skipped></s></lineage>")
	f.Fuzz(func(t *testing.T, text string) {
		var first *Lineage
		var err error
		bounds.Within(t, func() { first, err = ParseLineage(text) })
		if err != nil || strings.ContainsRune(text, '\uFFFD') {
			return
		}
		written, err := first.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		second, err := ParseLineage(written)
		if err != nil {
			t.Fatalf("read what was written: %v in %s", err, written)
		}
		if diff := cmp.Diff(first.Snapshots, second.Snapshots); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzParseDiskSpec reads an argument of the command line.
func FuzzParseDiskSpec(f *testing.F) {
	for _, text := range []string{"vda", "vda,snapshot=no", "vdb,method=lvm,size.percent=20", "vda,a.b.c=d", "vda,file=/a,,b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d DescriptorDisk
		var err error
		bounds.Within(t, func() { d, err = ParseDiskSpec(text) })
		if err == nil && d.Target == "" {
			t.Errorf("%q names no disk: %+v", text, d)
		}
	})
}

// FuzzParseMethodSpec reads a <diskSnapshot> of its own. What was read is JSON for engines, whatever is in it.
func FuzzParseMethodSpec(f *testing.F) {
	f.Add([]byte("<diskSnapshot method='lvm'><size percent='20'/><device path='/dev/vg0/lv4'/></diskSnapshot>"))
	f.Add([]byte("<diskSnapshot a='&#x10FFFF;'>text &lt;<![CDATA[&]]></diskSnapshot>"))
	f.Add([]byte("<diskSnapshot method='--help'/>"))
	f.Add([]byte("<disk/>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		bounds.Within(t, func() {
			s, err := ParseMethodSpec(data)
			if err != nil {
				return
			}
			if text, err := s.MarshalJSON(); err != nil || !json.Valid(text) {
				t.Errorf("%s, %v", text, err)
			}
		})
	})
}

// FuzzValidName: what may be a snapshot's name can be written into every document, and read again.
func FuzzValidName(f *testing.F) {
	for _, name := range []string{"nightly-2026-11-20", "a b", "-rf", ".", "a/b", "\u202etxt", "é", "e\u0301", "a\nb", "\xff", strings.Repeat("x", 129)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if ValidName(name) != nil {
			return
		}
		text, err := (&Descriptor{Name: name}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if d, err := ParseDescriptor(text); err != nil || d.Name != name {
			t.Errorf("%q is read as %+v, %v", name, d, err)
		}
	})
}
