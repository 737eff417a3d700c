package virt

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/xmlspec"
)

func TestPlaces(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", "/home/me/.config")
	for _, c := range []struct {
		uri    string
		domain xmlspec.Domain
		nvram  string
		tpm    string
		unkept []string
	}{
		{"qemu:///system", xmlspec.Domain{EFI: true, TPM: &xmlspec.TPM{}}, "/var/lib/libvirt/qemu/nvram/web1_VARS.fd", "/var/lib/libvirt/swtpm/uuid", nil},
		{"qemu:///session", xmlspec.Domain{EFI: true, TPM: &xmlspec.TPM{}}, "/home/me/.config/libvirt/qemu/nvram/web1_VARS.fd",
			"/home/me/.config/libvirt/qemu/swtpm/uuid", nil},
		{"qemu:///system", xmlspec.Domain{NVRAM: "/n", TPM: &xmlspec.TPM{Path: "/t"}}, "/n", "/t", nil},
		{"qemu+ssh://other/system", xmlspec.Domain{EFI: true, TPM: &xmlspec.TPM{}}, "", "", []string{"tpm: it is not known where its state is"}},
		{"qemu:///system", xmlspec.Domain{}, "", "", nil},
	} {
		d := c.domain
		d.Name, d.UUID = "web1", "uuid"
		placesOf(c.uri).complete(&d)
		tpm := ""
		if d.TPM != nil {
			tpm = d.TPM.Path
		}
		if d.NVRAM != c.nvram || tpm != c.tpm || !cmp.Equal(d.Unkept, c.unkept) {
			t.Errorf("%s: NVRAM %q, TPM %q, unkept %q", c.uri, d.NVRAM, tpm, d.Unkept)
		}
	}
}

// TestDefinitionsAreWhereLibvirtHasThem: one that is not there is somebody else's to look after.
func TestDefinitionsAreWhereLibvirtHasThem(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	p := placesOf("qemu:///session")
	if placesOf("qemu:///system").definitions != "/etc/libvirt/qemu" || placesOf("qemu+ssh://other/system").definitions != "" {
		t.Error("the definitions are elsewhere")
	}
	if err := p.settle("web1"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(os.MkdirAll(p.definitions, 0o700), os.WriteFile(p.definitions+"/web1.xml", nil, 0o600), p.settle("web1")); err != nil {
		t.Error(err)
	}
}
