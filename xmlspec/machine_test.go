package xmlspec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWithoutMetadata(t *testing.T) {
	for doc, want := range map[string]string{
		"<domain><name>a</name><metadata><x/>secret</metadata><os>metadata</os></domain>": "<domain><name>a</name><os>metadata</os></domain>",
		"<domain><metadata/></domain>":                                  "<domain></domain>",
		"<domain><devices><metadata>kept</metadata></devices></domain>": "<domain><devices><metadata>kept</metadata></devices></domain>",
		"<domain><!--<metadata>--><a/></domain>":                        "<domain><!--<metadata>--><a/></domain>",
	} {
		got, err := WithoutMetadata(doc)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, %s", doc, err, diff)
		}
	}
	if _, err := WithoutMetadata("<domain><"); err == nil {
		t.Error("half a document went through")
	}
}

func TestMachineOfADomain(t *testing.T) {
	for _, c := range []struct{ os, backend, nvram, tpm string }{
		{"<nvram template='/t'>/var/n.fd</nvram>", "", "/var/n.fd", ""},
		{"<nvram type='file'><source file='/var/n.fd'/></nvram>", "<source type='dir' path='/var/tpm'/>", "/var/n.fd", "/var/tpm"},
		{"<nvram type='block'><source dev='/dev/n'/></nvram>", "<source type='file' path='/var/tpm.bin'/>", "", "/var/tpm.bin"},
		{"", "", "", ""},
	} {
		doc := "<domain><os>" + c.os + "</os><devices><tpm><backend type='emulator'>" + c.backend + "</backend></tpm></devices></domain>"
		d, err := ParseDomain(doc)
		if err != nil {
			t.Fatal(err)
		}
		if d.NVRAM != c.nvram || d.TPM == nil || d.TPM.Path != c.tpm || d.XML != doc {
			t.Errorf("%s: NVRAM %q, TPM %+v", doc, d.NVRAM, d.TPM)
		}
	}
	d, err := ParseDomain("<domain><devices><tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm></devices></domain>")
	if err != nil || d.TPM != nil {
		t.Errorf("the TPM of this host: %+v, %v", d.TPM, err)
	}
}

// TestDomainIsReadBesideMetadata: what is in them, ours or not, hides nothing of the domain.
func TestDomainIsReadBesideMetadata(t *testing.T) {
	const lineage = `<domsnap:lineage xmlns:domsnap="urn:domsnap:lineage:1" rev="2"><domsnap:s id="s1"/></domsnap:lineage>`
	for _, metadata := range []string{
		lineage, `<x:y xmlns:x="urn:x"><!-- <domsnap:lineage is ours --></x:y>` + lineage, lineage + `<!-- </domsnap:lineage> -->`,
		`<!-- <domsnap:lineage -->`, `<x:y xmlns:x="urn:x"><domsnap:lineage </x:y>`,
	} {
		d, err := ParseDomain("<domain><name>a</name><metadata>" + metadata + "</metadata><devices><disk><target dev='vda'/></disk></devices></domain>")
		broken := !strings.Contains(metadata, "urn:domsnap") && !strings.HasPrefix(metadata, "<!--")
		if broken != (err != nil) || err == nil && (d.Name != "a" || len(d.Disks) != 1) {
			t.Errorf("%s: %+v, %v", metadata, d, err)
		}
	}
}
