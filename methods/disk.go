package methods

// Disk is one disk of a domain, as libvirt describes it.
type Disk struct {
	Domain Domain `json:"domain"`
	// Target is libvirt's name of the disk, as vda.
	Target string `json:"target"`
	Source Source `json:"source"`
	// Format is what the domain XML says, never what the content looks like.
	Format string `json:"format"`
	Serial string `json:"serial,omitempty"`
	// Still: the domain is active, and yet the disk does not change when it is taken: QEMU has it open for reading, and what
	// the guest writes goes elsewhere.
	Still bool `json:"-"`
	// Cache is libvirt's cache mode; empty for the hypervisor's default.
	Cache string `json:"cache,omitempty"`
}

// Domain is whose disk it is.
type Domain struct {
	Name string `json:"name"`
	UUID string `json:"uuid"`
	// Active: QEMU runs, or is paused, and has the disks open.
	Active bool `json:"active"`
}

// Source is where a disk's content lives: exactly one of its fields is set, none for an empty drive.
type Source struct {
	// File is the absolute path of an image file.
	File string `json:"file,omitempty"`
	// Dev is the absolute path of a block device.
	Dev string    `json:"dev,omitempty"`
	RBD *RBDImage `json:"rbd,omitempty"`
	// Network is any other network disk.
	Network *NetworkSource `json:"network,omitempty"`
	// Other is what no method here knows, in libvirt's words.
	Other string `json:"other,omitempty"`
}

// RBDImage is an image in a Ceph cluster.
type RBDImage struct {
	Pool      string `json:"pool"`
	Namespace string `json:"namespace,omitempty"`
	Image     string `json:"image"`
	// User is the Ceph user without "client."; empty for the client's default.
	User string `json:"user,omitempty"`
	// Config is the path of a ceph.conf; empty for the client's default.
	Config string `json:"config,omitempty"`
	// Monitors are host:port; empty when the configuration names them.
	Monitors []string `json:"monitors,omitempty"`
	// Snapshot is the image's snapshot that is read instead of its present; empty for the present.
	Snapshot string `json:"snapshot,omitempty"`
}

// String is pool/image, or pool/namespace/image, as rbd writes it.
func (r RBDImage) String() string {
	if r.Namespace == "" {
		return r.Pool + "/" + r.Image
	}
	return r.Pool + "/" + r.Namespace + "/" + r.Image
}

// NetworkSource is a network disk in libvirt's words.
type NetworkSource struct {
	// Protocol is nbd, iscsi, http and so on.
	Protocol string `json:"protocol"`
	// Name is the export, the target and unit, or the path.
	Name string `json:"name,omitempty"`
	// Host and Port, or Socket, say where the first server is.
	Host   string `json:"host,omitempty"`
	Port   string `json:"port,omitempty"`
	Socket string `json:"socket,omitempty"`
	// Secured: it needs TLS or a secret, which stay with libvirt.
	Secured bool `json:"secured,omitempty"`
}

// String is protocol:name.
func (n NetworkSource) String() string { return n.Protocol + ":" + n.Name }

// Path is the file or the device, or empty.
func (s Source) Path() string {
	if s.File != "" {
		return s.File
	}
	return s.Dev
}

// String names the source for people.
func (s Source) String() string {
	if s.RBD != nil {
		return s.RBD.String()
	}
	if s.Network != nil {
		return s.Network.String()
	}
	if p := s.Path(); p != "" {
		return p
	}
	return s.Other
}

// Ref names one disk's part of a snapshot. Plan makes it; it is recorded, and everything later is done by
// what was recorded.
type Ref struct {
	// Snapshot is the id of the snapshot it belongs to.
	Snapshot string `json:"snapshot"`
	// Method is the name of the method that planned it.
	Method string `json:"method"`
	// Mode tells the method's own ways apart, as thick and thin; empty where there is one.
	Mode string `json:"mode,omitempty"`
	// Disk is the disk as it was planned.
	Disk Disk `json:"disk"`
	// Origin is the storage's name of what is snapshotted.
	Origin string `json:"origin"`
	// Name is the storage's name of the snapshot.
	Name string `json:"name"`
	// Active is the disk's source once the snapshot is taken, for a method that moves the source.
	Active string `json:"active,omitempty"`
	// Reserve is the room to set aside for changes, in bytes; 0 where the storage needs none.
	Reserve int64 `json:"reserve,omitempty"`
	// Size is the disk's capacity in bytes; below an image format it may be that of the volume or the file.
	Size int64 `json:"size"`
	// Lock names what is held while the act runs; acts with the same lock run one after the other. Empty is
	// a lock of its own.
	Lock string `json:"-"`
}
