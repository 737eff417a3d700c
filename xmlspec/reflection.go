package xmlspec

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ReflectionMark begins the description of each snapshot that libvirt only shows for us.
const ReflectionMark = "domsnap: "

// Reflection is a snapshot as libvirt shows it among its own. It has no disks of libvirt's making, so that deleting it
// there deletes nothing.
type Reflection struct {
	Name, Description string
	// Parent is the name of another that libvirt shows; empty for none.
	Parent  string
	Created time.Time
	// Disks are the targets of the domain's disks, all of which have to be named.
	Disks []string
	// Definition is the domain's XML, without which libvirt takes no snapshot that it has not made.
	Definition string
}

type reflectionXML struct {
	XMLName     xml.Name          `xml:"domainsnapshot"`
	Name        string            `xml:"name"`
	Description string            `xml:"description"`
	State       string            `xml:"state"`
	Created     int64             `xml:"creationTime"`
	Parent      *reflectionParent `xml:"parent"`
	Memory      reflectionPart    `xml:"memory"`
	Disks       []reflectionPart  `xml:"disks>disk"`
}

type reflectionParent struct {
	Name string `xml:"name"`
}

type reflectionPart struct {
	Name     string `xml:"name,attr,omitempty"`
	Snapshot string `xml:"snapshot,attr"`
}

// Marshal writes libvirt's <domainsnapshot>.
func (r Reflection) Marshal() (string, error) {
	raw := reflectionXML{
		Name: r.Name, Description: ReflectionMark + r.Description, State: "disk-snapshot", Created: r.Created.Unix(),
		Memory: reflectionPart{Snapshot: "no"},
	}
	if r.Parent != "" {
		raw.Parent = &reflectionParent{r.Parent}
	}
	for _, target := range r.Disks {
		raw.Disks = append(raw.Disks, reflectionPart{target, "no"})
	}
	text, err := xml.Marshal(raw)
	if err != nil {
		return "", fmt.Errorf("write snapshot XML: %w", err)
	}
	return strings.TrimSuffix(string(text), "</domainsnapshot>") + r.Definition + "</domainsnapshot>", nil
}

// IsReflection says whether a snapshot's XML, as libvirt prints it, is one that it only shows for us: it has our mark, and
// nothing of libvirt's making.
func IsReflection(doc string) (bool, error) {
	var raw struct {
		Description string           `xml:"description"`
		Memory      reflectionPart   `xml:"memory"`
		Disks       []reflectionPart `xml:"disks>disk"`
	}
	if err := DecodeLibvirt(doc, &raw); err != nil {
		return false, fmt.Errorf("read snapshot XML: %w", err)
	}
	made := slices.ContainsFunc(raw.Disks, func(d reflectionPart) bool { return d.Snapshot != "no" })
	return strings.HasPrefix(raw.Description, ReflectionMark) && raw.Memory.Snapshot == "no" && !made, nil
}
