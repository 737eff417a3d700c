package virt

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/domsnap/domsnap/orchestrator/durable"
	"github.com/domsnap/domsnap/xmlspec"
)

// places are the directories in which a libvirt daemon has what it does not name in a domain's XML; empty where that is
// not known.
type places struct {
	// nvram has the variables of firmware, tpm the state of emulated TPMs, in a directory for each domain.
	nvram, tpm string
	// definitions has the XML of the domains that are persistent.
	definitions string
}

// placesOf knows the daemon of the system and that of the caller's session: libvirt's virQEMUDriverConfigNew.
func placesOf(uri string) places {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "qemu" || u.Host != "" {
		return places{}
	}
	switch u.Path {
	case "/system":
		return places{nvram: "/var/lib/libvirt/qemu/nvram", tpm: "/var/lib/libvirt/swtpm", definitions: "/etc/libvirt/qemu"}
	case "/session":
		config, err := os.UserConfigDir()
		if err != nil {
			return places{}
		}
		qemu := filepath.Join(config, "libvirt/qemu")
		return places{nvram: filepath.Join(qemu, "nvram"), tpm: filepath.Join(qemu, "swtpm"), definitions: qemu}
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

// settle makes durable that a domain has the definition that it has: libvirt writes that into a file beside the old one,
// syncs it, gives it the name, and does not sync that. A libvirt that was built to have it elsewhere is left alone, as is
// one of somebody else's.
func (p places) settle(name string) error {
	if p.definitions == "" {
		return nil
	}
	_, err := os.Lstat(filepath.Join(p.definitions, name+".xml"))
	if err == nil {
		err = durable.Disk{Dir: p.definitions}.Sync()
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sync the directory of definitions: %w", err)
	}
	return nil
}
