package xmlspec

import (
	"encoding/xml"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// LineageNamespace is the namespace of the lineage in a domain's <metadata>.
const LineageNamespace = "urn:domsnap:lineage:1"

// LineagePrefix is the namespace prefix libvirt is asked to use.
const LineagePrefix = "domsnap"

// Lineage is the tree of a domain's snapshots, oldest first.
type Lineage struct {
	XMLName xml.Name `xml:"lineage"`
	// Rev grows with every write, so that of two lineages of a domain the later one is known.
	Rev int64 `xml:"rev,attr,omitempty"`
	// Current is the id of the snapshot that the present derives from; empty before the first.
	Current string `xml:"current,attr,omitempty"`
	// Mirror: libvirt shows the snapshots among its own.
	Mirror bool `xml:"mirror,attr,omitempty"`
	// Strayed are the disks that were reverted by themselves and so derive from another snapshot.
	Strayed   []Position        `xml:"strayed"`
	Layouts   []layout          `xml:"layout"`
	Snapshots []LineageSnapshot `xml:"s"`
}

// Position is where one disk's present comes from.
type Position struct {
	Target   string `xml:"target,attr"`
	Snapshot string `xml:"id,attr"`
}

// LineageSnapshot is one snapshot as it is recorded. What is the same for most snapshots of a domain is written with
// their layout.
type LineageSnapshot struct {
	ID     string `xml:"id,attr"`
	Name   string `xml:"name,attr"`
	Parent string `xml:"parent,attr,omitempty"`
	// Created is in seconds since 1970, UTC.
	Created int64  `xml:"time,attr"`
	State   string `xml:"state,attr,omitempty"`
	Safety  bool   `xml:"safety,attr,omitempty"`
	// Until, in seconds since 1970, and Holder are the lease of a temporary snapshot.
	Until  int64  `xml:"until,attr,omitempty"`
	Holder string `xml:"holder,attr,omitempty"`
	// Reason says, for people, why the state is what it is.
	Reason      string `xml:"reason,omitempty"`
	Description string `xml:"description,omitempty"`
	Level       string `xml:"-"`
	HeldBy      string `xml:"-"`
	FrozenMS    int64  `xml:"frozen,attr,omitempty"`
	PausedMS    int64  `xml:"paused,attr,omitempty"`
	// ShieldedMS is how long overlays took what the guest wrote, CommitMS how long of that they were committed.
	ShieldedMS int64 `xml:"shielded,attr,omitempty"`
	CommitMS   int64 `xml:"commit,attr,omitempty"`
	Frozen     int   `xml:"-"`
	Thawed     int   `xml:"-"`
	// Machine names what is kept on the host besides the disks and the definition: nvram, tpm.
	Machine string `xml:"-"`
	// Skipped says which disks were left out, and why.
	Skipped []string      `xml:"skipped"`
	Disks   []LineageDisk `xml:"-"`
	Layout  int           `xml:"layout,attr"`
}

// Has says whether the snapshot has a disk with this target.
func (s *LineageSnapshot) Has(target string) bool {
	return slices.ContainsFunc(s.Disks, func(d LineageDisk) bool { return d.Target == target })
}

// LineageDisk is one disk of a snapshot as it is recorded: what methods.Ref holds.
type LineageDisk struct {
	Target  string          `xml:"target,attr"`
	Method  string          `xml:"method,attr"`
	Mode    string          `xml:"mode,attr,omitempty"`
	Format  string          `xml:"format,attr,omitempty"`
	Cache   string          `xml:"cache,attr,omitempty"`
	Serial  string          `xml:"serial,attr,omitempty"`
	File    string          `xml:"file,attr,omitempty"`
	Dev     string          `xml:"dev,attr,omitempty"`
	Origin  string          `xml:"origin,attr,omitempty"`
	Name    string          `xml:"name,attr"`
	Active  string          `xml:"active,attr,omitempty"`
	Reserve int64           `xml:"reserve,attr,omitempty"`
	Size    int64           `xml:"size,attr"`
	RBD     *LineageRBD     `xml:"rbd"`
	Network *LineageNetwork `xml:"network"`
}

// LineageRBD is a disk's rbd image.
type LineageRBD struct {
	Pool      string   `xml:"pool,attr"`
	Namespace string   `xml:"namespace,attr,omitempty"`
	Image     string   `xml:"image,attr"`
	User      string   `xml:"user,attr,omitempty"`
	Config    string   `xml:"config,attr,omitempty"`
	Monitors  []string `xml:"monitor"`
}

// LineageNetwork is a disk on any other network source.
type LineageNetwork struct {
	Protocol string `xml:"protocol,attr"`
	Name     string `xml:"name,attr,omitempty"`
	Host     string `xml:"host,attr,omitempty"`
	Port     string `xml:"port,attr,omitempty"`
	Socket   string `xml:"socket,attr,omitempty"`
	Secured  bool   `xml:"secured,attr,omitempty"`
}

// layout is what snapshots have in common that differ in their ids and times only: "{id}" stands for the snapshot's own
// id, "{parent}" for its parent's. Nearly all snapshots of a domain share one, so a snapshot costs one small element.
type layout struct {
	N       int           `xml:"n,attr"`
	Level   string        `xml:"level,attr"`
	HeldBy  string        `xml:"held,attr,omitempty"`
	Frozen  int           `xml:"fsfrozen,attr,omitempty"`
	Thawed  int           `xml:"fsthawed,attr,omitempty"`
	Machine string        `xml:"machine,attr,omitempty"`
	Disks   []LineageDisk `xml:"disk"`
}

// ParseLineage reads what Marshal wrote, and nothing else: others may write to a domain's metadata. An empty text is an
// empty lineage. What a newer version has added would be lost with the next write, and is an error too; and so is what is
// larger than Marshal would write it, or would become so when layouts are filled in.
func ParseLineage(doc string) (*Lineage, error) {
	l := &Lineage{}
	if strings.TrimSpace(doc) == "" {
		return l, nil
	}
	root, err := parseWithin([]byte(doc), shape{depth: lineageDepth, nodes: maxLineageNodes, space: LineageNamespace})
	if err == nil && root.Name != lineageElement {
		err = root.Errorf("the root element is not <%s>", lineageElement)
	}
	if err == nil {
		err = root.Decode(l)
	}
	if err == nil {
		err = l.check()
	}
	if err != nil {
		return nil, fmt.Errorf("read lineage: %w", err)
	}
	if err := l.expand(); err != nil {
		return nil, fmt.Errorf("read lineage: %w", err)
	}
	return l, nil
}

// Marshal writes the lineage compactly. It fails where ParseLineage would not take the result for its size.
func (l *Lineage) Marshal() (string, error) {
	l.compact()
	text, err := xml.Marshal(l)
	if err == nil {
		err = errors.Join(l.checkSize(string(text)), l.check())
	}
	if err != nil {
		return "", fmt.Errorf("write lineage: %w", err)
	}
	return string(text), nil
}

func (l *Lineage) expand() error {
	byNumber := make(map[int]layout, len(l.Layouts))
	for _, lay := range l.Layouts {
		byNumber[lay.N] = lay
	}
	var filled size
	for i := range l.Snapshots {
		s := &l.Snapshots[i]
		lay, ok := byNumber[s.Layout]
		if !ok {
			return fmt.Errorf("snapshot %.64s names layout %d, which is not there", s.ID, s.Layout)
		}
		if err := filled.add(s, lay.Disks); err != nil {
			return err
		}
		s.Level, s.HeldBy, s.Frozen, s.Thawed, s.Machine = lay.Level, lay.HeldBy, lay.Frozen, lay.Thawed, lay.Machine
		s.Disks = s.fill(lay.Disks)
	}
	return nil
}

func (l *Lineage) compact() {
	l.Layouts = nil
	for i := range l.Snapshots {
		s := &l.Snapshots[i]
		s.Layout = l.layoutOf(layout{
			Level: s.Level, HeldBy: s.HeldBy, Frozen: s.Frozen, Thawed: s.Thawed, Machine: s.Machine, Disks: s.strip(),
		})
	}
}

// layoutOf is the number of the layout, which may be new. Most snapshots have that of the one before.
func (l *Lineage) layoutOf(lay layout) int {
	for _, known := range slices.Backward(l.Layouts) {
		lay.N = known.N
		if reflect.DeepEqual(known, lay) {
			return lay.N
		}
	}
	lay.N = len(l.Layouts) + 1
	l.Layouts = append(l.Layouts, lay)
	return lay.N
}

// strip puts "{id}" in place of the snapshot's id and "{parent}" in place of its parent's, and "{{}" of a brace.
func (s *LineageSnapshot) strip() []LineageDisk {
	pairs := []string{"{", "{{}", s.ID, "{id}"}
	if s.Parent != "" {
		pairs = append(pairs, s.Parent, "{parent}")
	}
	return mapDisks(s.Disks, strings.NewReplacer(pairs...).Replace)
}

func (s *LineageSnapshot) fill(disks []LineageDisk) []LineageDisk { return mapDisks(disks, s.filled) }

// filled is a text as it was before strip.
func (s *LineageSnapshot) filled(text string) string {
	before, after, found := strings.Cut(text, "{")
	if !found {
		return text
	}
	var b strings.Builder
	for ; found; before, after, found = strings.Cut(after, "{") {
		b.WriteString(before)
		name, rest, ended := strings.Cut(after, "}")
		switch {
		case !ended:
			b.WriteString("{")
			continue
		case name == "{":
			b.WriteString("{")
		case name == "id":
			b.WriteString(s.ID)
		case name == "parent":
			b.WriteString(s.Parent)
		default:
			b.WriteString("{")
			continue
		}
		after = rest
	}
	b.WriteString(before)
	return b.String()
}

// mapDisks rewrites the fields in which methods put ids.
func mapDisks(disks []LineageDisk, rewrite func(string) string) []LineageDisk {
	out := make([]LineageDisk, len(disks))
	for i, d := range disks {
		for _, field := range []*string{&d.File, &d.Origin, &d.Name, &d.Active} {
			*field = rewrite(*field)
		}
		out[i] = d
	}
	return out
}
