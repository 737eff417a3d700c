package virt

import (
	"net/url"
	"os"
	"path/filepath"

	"github.com/domsnap/domsnap/xmlspec"
)

// places are the directories in which a libvirt daemon has what it does not name in a domain's XML; empty where that is
// not known.
type places struct {
	// nvram has the variables of firmware, tpm the state of emulated TPMs, in a directory for each domain.
	nvram, tpm string
}

// placesOf knows the daemon of the system and that of the caller's session: libvirt's virQEMUDriverConfigNew.
func placesOf(uri string) places {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "qemu" || u.Host != "" {
		return places{}
	}
	switch u.Path {
	case "/system":
		return places{nvram: "/var/lib/libvirt/qemu/nvram", tpm: "/var/lib/libvirt/swtpm"}
	case "/session":
		config, err := os.UserConfigDir()
		if err != nil {
			return places{}
		}
		return places{nvram: filepath.Join(config, "libvirt/qemu/nvram"), tpm: filepath.Join(config, "libvirt/qemu/swtpm")}
	default:
		return places{}
	}
}

// complete names what libvirt has where it always has it. A libvirt before 9.2 names the variables of a firmware that it
// chooses itself only while the domain runs.
func (p places) complete(d *xmlspec.Domain) {
	if d.NVRAM == "" && d.EFI && len(d.Unkept) == 0 && p.nvram != "" {
		d.NVRAM = filepath.Join(p.nvram, d.Name+"_VARS.fd")
	}
	if d.TPM == nil || d.TPM.Path != "" {
		return
	}
	if p.tpm == "" {
		d.Unkept = append(d.Unkept, "tpm: it is not known where its state is")
		return
	}
	d.TPM.Path = filepath.Join(p.tpm, d.UUID)
}
