package xmlspec

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// maxDomainBytes is the most that a domain's XML may have: twice what libvirt itself lets through.
const maxDomainBytes = 8 << 20

// DomainID is what tells one domain from the others.
type DomainID struct {
	Name string `xml:"name"`
	UUID string `xml:"uuid"`
	// Sources are those of its disks that are files.
	Sources []DiskFile `xml:"devices>disk>source"`
}

// DiskFile is the source of a disk.
type DiskFile struct {
	File string `xml:"file,attr"`
}

// ReadDomainID reads a domain's XML as libvirt prints it, and nothing of it but that. A document that is
// no domain's, that has no UUID, or that is too large is an error.
func ReadDomainID(in io.Reader) (DomainID, error) {
	var d struct {
		XMLName xml.Name `xml:"domain"`
		DomainID
	}
	limited := &io.LimitedReader{R: in, N: maxDomainBytes}
	if err := xml.NewDecoder(limited).Decode(&d); err != nil {
		return d.DomainID, fmt.Errorf("read domain XML: %w", err)
	}
	if d.Name == "" || d.UUID == "" {
		return d.DomainID, errors.New("read domain XML: it has no name or no UUID")
	}
	return d.DomainID, nil
}
