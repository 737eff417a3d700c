package xmlspec

import (
	"fmt"
	"strings"

	"libvirt.org/go/libvirtxml"
)

// Domain is the little of a domain's XML that domsnap reads.
type Domain struct {
	Name  string
	UUID  string
	Disks []Disk
	// NVRAM is the file with the variables of the firmware; empty for none. EFI says that libvirt chooses a firmware that
	// has such a file, where it is to choose.
	NVRAM string
	EFI   bool
	// TPM is nil for none.
	TPM *TPM
	// Unkept says what of the machine is neither on its disks nor in files of this host.
	Unkept []string
	// Labels are those of a domain that runs.
	Labels []Label
	// XML is the whole document.
	XML string
}

// Disk is one <disk> of a domain, in libvirt's words.
type Disk struct {
	// Target is target/@dev.
	Target string
	// Device is disk, cdrom, floppy or lun.
	Device string
	// Format is driver/@type, never guessed; empty where libvirt would probe.
	Format string
	Cache  string
	Serial string
	// ReadOnly, Shareable and Transient are the elements of these names.
	ReadOnly, Shareable, Transient bool
	// Encrypted: QEMU needs a secret of libvirt's to read it. CopyOnRead: what is read from below is copied. Partial: it is not
	// the whole of its source, or not in its source alone.
	Encrypted, CopyOnRead, Partial bool
	// Discard: the guest's discards reach the storage. Tuned: what QEMU does with the image's tables is set.
	Discard, Tuned bool
	// IO is how QEMU waits for the host, empty for its own way.
	IO     string
	Source DiskSource
	// Chain are the files below the source, nearest first, as far as the XML lists them.
	Chain []string
	// XML is the element as libvirt would print it.
	XML string
}

// DiskSource is a disk's <source>. At most one of its fields is set; none for an empty drive.
type DiskSource struct {
	File   string
	Block  string
	RBD    *RBDSource
	Volume *VolumeSource
	// Network is a network source with any other protocol.
	Network *NetworkSource
	// Other names the type, for people, where it is none of the above.
	Other string
}

// RBDSource is a network source with protocol rbd.
type RBDSource struct {
	// Name is pool/image or pool/namespace/image.
	Name     string
	User     string
	Config   string
	Monitors []string
}

// NetworkSource is a network source and its first host.
type NetworkSource struct {
	Protocol, Name     string
	Host, Port, Socket string
	// Secured: it has TLS or authentication, whose secrets stay with libvirt.
	Secured bool
}

// VolumeSource names a volume of a storage pool.
type VolumeSource struct {
	Pool, Volume string
}

// ParseDomain reads a domain's XML as libvirt prints it. One that is larger than any that libvirt runs is an error.
func ParseDomain(doc string) (*Domain, error) {
	raw, err := decodeDomain(doc)
	if err != nil {
		return nil, fmt.Errorf("read domain XML: %w", err)
	}
	d := &Domain{Name: raw.Name, UUID: raw.UUID, NVRAM: readNVRAM(raw.OS), Unkept: readUnkept(raw), Labels: readLabels(raw.SecLabel), XML: doc}
	d.EFI = raw.OS != nil && raw.OS.Firmware == "efi"
	if raw.Devices == nil {
		return d, nil
	}
	d.TPM = readTPM(raw.Devices.TPMs)
	for i := range raw.Devices.Disks {
		disk, err := readDisk(&raw.Devices.Disks[i])
		if err != nil {
			return nil, fmt.Errorf("read disk %d of domain %s: %w", i+1, d.Name, err)
		}
		d.Disks = append(d.Disks, disk)
	}
	return d, nil
}

// decodeDomain leaves out the lineage, which may be much longer than all the rest. Where somebody else's metadata have its
// tags in a comment, what is left may be no document.
func decodeDomain(doc string) (*libvirtxml.Domain, error) {
	if rest := withoutLineage(doc); rest != doc {
		var d libvirtxml.Domain
		if domainLimits.decode(rest, &d) == nil {
			return &d, nil
		}
	}
	var d libvirtxml.Domain
	return &d, domainLimits.decode(doc, &d)
}

func withoutLineage(doc string) string {
	const tag = LineagePrefix + ":lineage"
	before, rest, begun := strings.Cut(doc, "<"+tag+" ")
	_, after, ended := strings.Cut(rest, "</"+tag+">")
	if !begun || !ended {
		return doc
	}
	return before + after
}

// Disk finds a disk by its target.
func (d *Domain) Disk(target string) (Disk, bool) {
	for _, disk := range d.Disks {
		if disk.Target == target {
			return disk, true
		}
	}
	return Disk{}, false
}

func readDisk(raw *libvirtxml.DomainDisk) (Disk, error) {
	text, err := raw.Marshal()
	if err != nil {
		return Disk{}, fmt.Errorf("write disk XML: %w", err)
	}
	d := Disk{
		Device: raw.Device, Serial: raw.Serial, XML: text,
		ReadOnly: raw.ReadOnly != nil, Shareable: raw.Shareable != nil, Transient: raw.Transient != nil,
		Source: readSource(raw.Source), Chain: readChain(raw.BackingStore),
		Encrypted: raw.Encryption != nil || raw.Source != nil && raw.Source.Encryption != nil,
		Partial:   raw.Source != nil && (raw.Source.Slices != nil || raw.Source.DataStore != nil),
	}
	if raw.Target != nil {
		d.Target = raw.Target.Dev
	}
	if raw.Driver != nil {
		d.Format, d.Cache, d.CopyOnRead = raw.Driver.Type, raw.Driver.Cache, raw.Driver.CopyOnRead == "on"
		d.Discard, d.IO = raw.Driver.Discard == "unmap", raw.Driver.IO
		d.Tuned = raw.Driver.MetadataCache != nil || raw.Driver.DiscardNoUnref != ""
	}
	return d, nil
}

func readChain(b *libvirtxml.DomainDiskBackingStore) []string {
	var chain []string
	for ; b != nil && b.Source != nil; b = b.BackingStore {
		chain = append(chain, readSource(b.Source).path())
	}
	return chain
}

func readSource(s *libvirtxml.DomainDiskSource) DiskSource {
	switch {
	case s == nil:
		return DiskSource{}
	case s.File != nil:
		return DiskSource{File: s.File.File}
	case s.Block != nil:
		return DiskSource{Block: s.Block.Dev}
	case s.Volume != nil:
		return DiskSource{Volume: &VolumeSource{Pool: s.Volume.Pool, Volume: s.Volume.Volume}}
	case s.Network != nil && s.Network.Protocol == "rbd":
		return DiskSource{RBD: readRBD(s.Network)}
	case s.Network != nil:
		return DiskSource{Network: readNetwork(s.Network)}
	case s.VHostUser != nil:
		return DiskSource{Other: "vhostuser"}
	default:
		return DiskSource{Other: "a source of another type"}
	}
}

func readNetwork(n *libvirtxml.DomainDiskSourceNetwork) *NetworkSource {
	source := &NetworkSource{Protocol: n.Protocol, Name: n.Name, Secured: n.TLS == "yes" || n.Auth != nil}
	if len(n.Hosts) > 0 {
		source.Host, source.Port, source.Socket = n.Hosts[0].Name, n.Hosts[0].Port, n.Hosts[0].Socket
	}
	return source
}

func readRBD(n *libvirtxml.DomainDiskSourceNetwork) *RBDSource {
	rbd := &RBDSource{Name: n.Name}
	for _, h := range n.Hosts {
		rbd.Monitors = append(rbd.Monitors, monitor(h))
	}
	if n.Auth != nil {
		rbd.User = n.Auth.Username
	}
	if n.Config != nil {
		rbd.Config = n.Config.File
	}
	return rbd
}

func monitor(h libvirtxml.DomainDiskSourceHost) string {
	if h.Port == "" {
		return h.Name
	}
	return h.Name + ":" + h.Port
}

func (s DiskSource) path() string {
	if s.File != "" {
		return s.File
	}
	return s.Block
}
