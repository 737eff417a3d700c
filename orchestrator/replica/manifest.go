package replica

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// The states of a replica.
const (
	// Inbound: it is on its way, and not to be used yet.
	Inbound = "inbound"
	// Complete: it is whole, durable, and what was sent.
	Complete = "complete"
	// Broken: its manifest makes no sense.
	Broken = "broken"
)

// Manifest is what a replica says of itself.
type Manifest struct {
	Version int `json:"version"`
	Key
	DomainName string `json:"domain_name"`
	// Name, Parent (an id), Created, Description and Level are the snapshot's.
	Name        string    `json:"name"`
	Parent      string    `json:"parent,omitempty"`
	Created     time.Time `json:"created"`
	Description string    `json:"description,omitempty"`
	Level       string    `json:"level,omitempty"`
	// Descriptor is the snapshot as XML, as snapshot-dumpxml prints it.
	Descriptor string `json:"descriptor,omitempty"`
	State      string `json:"state"`
	// Base is the id of the snapshot whose replica it began as; empty for none.
	Base string `json:"base,omitempty"`
	// Prepared: every disk has begun as it is to begin.
	Prepared bool   `json:"prepared,omitempty"`
	Disks    []Disk `json:"disks"`
}

// Disk is a disk of a replica.
type Disk struct {
	Target string `json:"target"`
	Size   int64  `json:"size"`
	// Method and Mode are those by which the snapshot was taken, Format that of the domain's disk.
	Method string `json:"method"`
	Mode   string `json:"mode,omitempty"`
	Format string `json:"format,omitempty"`
	// Based: it began as that disk of the base's replica.
	Based bool `json:"based,omitempty"`
	// Done is how much of it is as it is to be.
	Done int64 `json:"done"`
	// Root is the SHA-256, in hexadecimal, of all sums of a disk that is complete.
	Root string `json:"root,omitempty"`
}

const (
	version     = 1
	maxManifest = 1 << 20
	maxDisks    = 1024
	maxDiskSize = 1 << 56
)

var uuidPattern = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Check fails where the key is no domain's and no snapshot's.
func (k Key) Check() error {
	if !uuidPattern.MatchString(k.Domain) {
		return fmt.Errorf("check replica: %.64q is no UUID", k.Domain)
	}
	if !methods.IsSnapshotID(k.Snapshot) {
		return fmt.Errorf("check replica: %.64q is no snapshot's id", k.Snapshot)
	}
	return nil
}

// Check fails where the manifest contradicts itself, or names what is no name.
func (m *Manifest) Check() error {
	if err := m.Key.Check(); err != nil {
		return err
	}
	switch {
	case m.Version != version:
		return fmt.Errorf("check replica: version %d is not known", m.Version)
	case m.Base != "" && !methods.IsSnapshotID(m.Base):
		return fmt.Errorf("check replica: %.64q is no snapshot's id", m.Base)
	case m.State != Inbound && m.State != Complete:
		return fmt.Errorf("check replica: there is no state %.64q", m.State)
	case len(m.Disks) == 0 || len(m.Disks) > maxDisks:
		return fmt.Errorf("check replica: it has %d disks", len(m.Disks))
	}
	return m.checkDisks()
}

func (m *Manifest) checkDisks() error {
	seen := map[string]bool{}
	for _, d := range m.Disks {
		switch {
		case !methods.IsTarget(d.Target):
			return fmt.Errorf("check replica: %.64q is no disk's target", d.Target)
		case seen[d.Target]:
			return fmt.Errorf("check replica: disk %s is there twice", d.Target)
		case d.Size <= 0 || d.Size > maxDiskSize || d.Done < 0 || d.Done > d.Size:
			return fmt.Errorf("check replica: disk %s has %d bytes, of which %d are done", d.Target, d.Size, d.Done)
		case m.State == Complete && d.Done != d.Size:
			return fmt.Errorf("check replica: it is complete, and of disk %s %d bytes are done of %d", d.Target, d.Done, d.Size)
		}
		seen[d.Target] = true
	}
	return nil
}

// Begun is the manifest of a replica of which nothing is there yet. It fails where Check does.
func (m Manifest) Begun() (Manifest, error) {
	m.Version, m.State, m.Prepared = version, Inbound, false
	m.Disks = slices.Clone(m.Disks)
	for i := range m.Disks {
		m.Disks[i].Done, m.Disks[i].Root, m.Disks[i].Based = 0, "", false
	}
	return m, m.Check()
}

// Covers says that there are all the wanted disks, of their sizes.
func (m *Manifest) Covers(wanted *Manifest) bool {
	for _, d := range wanted.Disks {
		if t, ok := m.Disk(d.Target); !ok || t.Size != d.Size {
			return false
		}
	}
	return true
}

// CheckDone fails where so much of the disk cannot be done next.
func (d *Disk) CheckDone(done int64) error {
	if done < d.Done || done > d.Size || done%ChunkSize != 0 && done != d.Size {
		return fmt.Errorf("sync disk %s: %d bytes cannot be done", d.Target, done)
	}
	return nil
}

// CheckWhole fails where not all of the disk is done, or something of it is pending.
func (d *Disk) CheckWhole(p Pending) error {
	if d.Done != d.Size || len(p) > 0 {
		return fmt.Errorf("finish the replica: of disk %s %d bytes are done of %d", d.Target, d.Done, d.Size)
	}
	return nil
}

// Disk finds a disk by its target.
func (m *Manifest) Disk(target string) (*Disk, bool) {
	for i := range m.Disks {
		if m.Disks[i].Target == target {
			return &m.Disks[i], true
		}
	}
	return nil, false
}

// Size is that of all disks.
func (m *Manifest) Size() (size int64) {
	for _, d := range m.Disks {
		size += d.Size
	}
	return size
}

// Done is how much of all disks is there.
func (m *Manifest) Done() (done int64) {
	for _, d := range m.Disks {
		done += d.Done
	}
	return done
}

// sealed is a manifest as it is written.
type sealed struct {
	SHA256   string          `json:"sha256"`
	Manifest json.RawMessage `json:"manifest"`
}

// Parse reads what Marshal wrote, and nothing else.
func Parse(text []byte) (*Manifest, error) {
	if len(text) > maxManifest {
		return nil, fmt.Errorf("read manifest: it has more than %d bytes", maxManifest)
	}
	var s sealed
	if err := decode(text, &s); err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(s.Manifest); hex.EncodeToString(sum[:]) != s.SHA256 {
		return nil, errors.New("read manifest: its checksum is wrong")
	}
	m := &Manifest{}
	if err := decode(s.Manifest, m); err != nil {
		return nil, err
	}
	return m, m.Check()
}

func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	return nil
}

// Marshal writes a manifest with its checksum.
func (m *Manifest) Marshal() ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	sum := sha256.Sum256(text)
	whole, err := json.Marshal(sealed{hex.EncodeToString(sum[:]), text})
	if err == nil && len(whole) > maxManifest {
		err = fmt.Errorf("write manifest: it has more than %d bytes", maxManifest)
	}
	return whole, err
}
