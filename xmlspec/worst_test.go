package xmlspec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/bounds"
)

// numbered repeats a piece with a number in it, up to the size of the largest document.
func numbered(head, piece, tail string) []byte {
	var text strings.Builder
	text.WriteString(head)
	for n := 0; text.Len() < bounds.Worst-len(tail)-len(piece)-8; n++ {
		fmt.Fprintf(&text, piece, n)
	}
	text.WriteString(tail)
	return []byte(text.String())
}

func TestWorstDescriptors(t *testing.T) {
	const head, tail = "<domainsnapshot><disks>", "</disks></domainsnapshot>"
	for what, text := range map[string][]byte{
		"disks":      numbered(head, "<disk name='v%d'/>", tail),
		"most disks": []byte(head + strings.Join(strings.SplitAfter(string(numbered("", "<disk name='vdddddddd%d'/>", "")), ">")[:4998], "") + tail),
		"same disk":  bounds.Stretch(head, "<disk name='vda'/>", tail),
		"attributes": numbered("<domainsnapshot ", "a%d='' ", "/>"),
		"comments":   bounds.Stretch("<domainsnapshot>", "<!---->", "</domainsnapshot>"),
		"text":       bounds.Stretch("<domainsnapshot><description>", "&lt;", "</description></domainsnapshot>"),
		"blanks":     bounds.Stretch("<domainsnapshot>", "\n", "</domainsnapshot>"),
		"cdata":      bounds.Stretch("<domainsnapshot><description>", "<![CDATA[ ]]>", "</description></domainsnapshot>"),
		"nested":     bounds.Nest("<a>", "</a>"),
		"open":       bounds.Stretch("", "<a>", ""),
		"name":       bounds.Stretch("<", "a", "/>"),
		"value":      bounds.Stretch("<domainsnapshot a='", "&#10;", "'/>"),
	} {
		t.Run(what, func(t *testing.T) {
			bounds.Within(t, func() { _, _ = ParseDescriptor(text) })
		})
	}
}

// chain is what libvirt prints below a disk with so many images.
func chain(images int) string {
	return strings.Repeat("<backingStore type='file'><format type='qcow2'/><source file='/a'/>", images) + strings.Repeat("</backingStore>", images)
}

// TestDomainWithLongChains is a domain that libvirt could just run.
func TestDomainWithLongChains(t *testing.T) {
	disk := "<disk type='file' device='disk'><source file='/a'/>" + chain(199) + "<target dev='vda'/></disk>"
	d, err := ParseDomain("<domain><devices>" + strings.Repeat(disk, 25) + "</devices></domain>")
	if err != nil || len(d.Disks) != 25 || len(d.Disks[24].Chain) != 199 {
		t.Errorf("%v", err)
	}
}

func TestWorstDomains(t *testing.T) {
	const head, tail = "<domain><devices>", "</devices></domain>"
	for what, text := range map[string][]byte{
		"empty disks": bounds.Stretch(head, "<disk/>", tail),
		"disks":       numbered(head, "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/a'/><target dev='v%d'/></disk>", tail),
		"hosts":       bounds.Stretch(head+"<disk type='network'><source protocol='rbd'>", "<host name='a'/>", "</source></disk>"+tail),
		"open chain":  bounds.Stretch(head+"<disk>", "<backingStore type='file'><source file='/a'/>", ""),
		"one chain":   []byte(head + "<disk>" + chain(9000) + "</disk>" + tail),
		"chains":      []byte(head + strings.Repeat("<disk>"+chain(250)+"</disk>", 66) + tail),
		"metadata":    bounds.Stretch("<domain><metadata>", "<a/>", "</metadata></domain>"),
		"unknown":     bounds.Stretch("<domain>", "<a/>", "</domain>"),
		"attributes":  numbered("<domain ", "a%d='' ", "/>"),
		"devices":     bounds.Stretch(head, "<interface/>", tail),
		"nested":      bounds.Nest("<domain>", "</domain>"),
		"open":        bounds.Stretch("", "<domain>", ""),
	} {
		t.Run(what, func(t *testing.T) {
			bounds.Within(t, func() { _, _ = ParseDomain(string(text)) })
		})
	}
}

func TestWorstLineages(t *testing.T) {
	const head, tail = "<lineage xmlns='" + LineageNamespace + "'>", "</lineage>"
	long := strings.Repeat("i", bounds.Worst/2)
	for what, text := range map[string][]byte{
		"snapshots":     numbered(head+"<layout n='1' level='crash'><disk target='vda' name='{id}'/></layout>", "<s id='s%d' layout='1'/>", tail),
		"disks by all":  []byte(head + "<layout>" + strings.Repeat("<disk/>", 20_000) + "</layout>" + strings.Repeat("<s layout='0'/>", 9_000) + tail),
		"one long id":   []byte(head + "<s layout='0' id='" + long + "'/><layout><disk name='" + strings.Repeat("{id}", 100_000) + "'/></layout>" + tail),
		"one long name": []byte(head + "<layout><disk name='" + long + "'/></layout>" + strings.Repeat("<s id='sone' layout='0'/>", 9_000) + tail),
		"growing names": []byte(head + "<layout><disk name='" + strings.Repeat("{id}", 200_000) + "'/></layout><s layout='0' id='" + strings.Repeat("i", 64) + "'/>" + tail),
		"layouts":       numbered(head, "<layout n='%d'/>", tail),
		"strayed":       bounds.Stretch(head, "<strayed/>", tail),
		"skipped":       bounds.Stretch(head+"<s>", "<skipped/>", "</s>"+tail),
		"monitors":      bounds.Stretch(head+"<layout><disk><rbd>", "<monitor/>", "</rbd></disk></layout>"+tail),
		"nested":        bounds.Nest("<lineage>", "</lineage>"),
	} {
		t.Run(what, func(t *testing.T) {
			bounds.Within(t, func() { _, _ = ParseLineage(string(text)) })
		})
	}
}

func TestWorstDiskSpecs(t *testing.T) {
	for what, text := range map[string][]byte{
		"keys":   numbered("vda,", "a%d=,", "z="),
		"places": numbered("vda,", "a%d.b=,", "z="),
		"commas": bounds.Stretch("vda,a=", ",", ""),
	} {
		t.Run(what, func(t *testing.T) {
			bounds.Within(t, func() { _, _ = ParseDiskSpec(string(text)) })
		})
	}
}
