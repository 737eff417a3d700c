package xmlspec

import (
	"encoding/xml"
	"fmt"
	"strings"

	"libvirt.org/go/libvirtxml"
)

// TPM is a domain's emulated TPM.
type TPM struct {
	// Path is the file or directory with its state; empty where it is where libvirt puts it by itself.
	Path string
}

// readNVRAM is the file with the variables of the firmware. Before its first start a domain may name none yet.
func readNVRAM(os *libvirtxml.DomainOS) string {
	switch {
	case os == nil || os.NVRam == nil:
		return ""
	case os.NVRam.Source != nil && os.NVRam.Source.File != nil:
		return os.NVRam.Source.File.File
	default:
		return strings.TrimSpace(os.NVRam.NVRam)
	}
}

// readUnkept names what of a machine is neither on its disks nor in files of this host.
func readUnkept(raw *libvirtxml.Domain) []string {
	var names []string
	if raw.OS != nil && raw.OS.NVRam != nil && raw.OS.NVRam.Source != nil && raw.OS.NVRam.Source.File == nil {
		names = append(names, "nvram: it is not in a file")
	}
	if raw.Devices == nil {
		return names
	}
	for _, tpm := range raw.Devices.TPMs {
		if tpm.Backend != nil && tpm.Backend.Emulator == nil {
			names = append(names, "tpm: it is not emulated by libvirt")
		}
	}
	return names
}

// readTPM is nil for a TPM whose state is not on this host's disk: that of the machine itself, and of somebody else's
// emulator.
func readTPM(all []libvirtxml.DomainTPM) *TPM {
	for _, raw := range all {
		if raw.Backend == nil || raw.Backend.Emulator == nil {
			continue
		}
		tpm := &TPM{}
		if source := raw.Backend.Emulator.Source; source != nil && source.File != nil {
			tpm.Path = source.File.Path
		} else if source != nil && source.Dir != nil {
			tpm.Path = source.Dir.Path
		}
		return tpm
	}
	return nil
}

// WithoutMetadata is the domain's XML without what others, and we, keep in its <metadata>; the rest is as it was.
func WithoutMetadata(doc string) (string, error) {
	d := xml.NewDecoder(strings.NewReader(doc))
	var kept strings.Builder
	from, depth := int64(0), 0
	for {
		before := d.InputOffset()
		token, err := d.RawToken()
		if err != nil {
			return "", fmt.Errorf("read domain XML: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth++; depth == 2 && t.Name.Local == "metadata" {
				kept.WriteString(doc[from:before])
			}
		case xml.EndElement:
			depth--
			if depth == 0 {
				return kept.String() + doc[from:], nil
			}
			if depth == 1 && t.Name.Local == "metadata" {
				from = d.InputOffset()
			}
		}
	}
}
