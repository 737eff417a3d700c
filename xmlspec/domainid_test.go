package xmlspec_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/xmlspec"
)

func TestReadDomainID(t *testing.T) {
	const uuid = "6f1d2c3b-0000-4000-8000-000000000001"
	for name, doc := range map[string]string{
		"as libvirt prints it": "<domain type='kvm' id='1'>\n  <name>web1</name>\n  <uuid>" + uuid + "</uuid>\n" +
			"<devices><disk><source file='/img/a'/><backingStore><source file='/img/b'/></backingStore></disk></devices></domain>",
		"with other UUIDs inside": "<domain xmlns:q='urn:q'><metadata><q:a><uuid>x</uuid><name>y</name></q:a></metadata>" +
			"<name>web1</name><uuid>" + uuid + "</uuid><devices><disk><source file='/img/a'/></disk></devices><sysinfo><system><entry name='uuid'>z</entry></system></sysinfo></domain>",
	} {
		d, err := xmlspec.ReadDomainID(strings.NewReader(doc))
		want := xmlspec.DomainID{Name: "web1", UUID: uuid, Sources: []xmlspec.DiskFile{{File: "/img/a"}}}
		if diff := cmp.Diff(want, d); err != nil || diff != "" {
			t.Errorf("%s: %s, %v", name, diff, err)
		}
	}
}

func TestReadDomainIDOfWhatIsNoDomain(t *testing.T) {
	for name, doc := range map[string]string{
		"nothing":    "",
		"no XML":     "web1",
		"a network":  "<network><name>default</name><uuid>1</uuid></network>",
		"no UUID":    "<domain><name>web1</name></domain>",
		"no name":    "<domain><uuid>1</uuid></domain>",
		"cut short":  "<domain><name>web1</name><uuid>1</uuid>",
		"far beyond": "<domain><name>web1</name><uuid>1</uuid><metadata>" + strings.Repeat("x", 9<<20) + "</metadata></domain>",
	} {
		if d, err := xmlspec.ReadDomainID(strings.NewReader(doc)); err == nil {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
