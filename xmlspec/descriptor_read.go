package xmlspec

const rootElement = "domainsnapshot"

// ParseDescriptor reads a <domainsnapshot> document, also one that Marshal wrote. What it does not know, a
// disk named twice, and a disk whose parts contradict each other are a *SyntaxError.
func ParseDescriptor(data []byte) (*Descriptor, error) {
	root, err := Parse(data)
	if err != nil {
		return nil, err
	}
	if root.Name != rootElement {
		return nil, root.Errorf("the root element is not <%s>", rootElement)
	}
	var doc document
	if err := root.Decode(&doc); err != nil {
		return nil, err
	}
	d := &Descriptor{Name: string(doc.Name), Description: doc.Description}
	if err := d.readDisks(doc.Disks.Disk); err != nil {
		return nil, err
	}
	return d, nil
}

// document is what a <domainsnapshot> may hold. The second half is what describes a snapshot that exists;
// a descriptor does not ask for it.
type document struct {
	Name        label  `xml:"name"`
	Description string `xml:"description"`
	Disks       struct {
		Disk []*Node `xml:"disk"`
	} `xml:"disks"`

	CreationTime string  `xml:"creationTime"`
	State        string  `xml:"state"`
	UUID         string  `xml:"uuid"`
	Memory       *memory `xml:"memory"`
	Parent       *struct {
		Name string `xml:"name" domsnap:"required"`
	} `xml:"parent"`
}

type memory struct {
	Snapshot noMemory `xml:"snapshot,attr" domsnap:"required"`
}

func (d *Descriptor) readDisks(nodes []*Node) error {
	seen := make(map[string]bool, len(nodes))
	for _, n := range nodes {
		disk, err := readDescriptorDisk(n)
		if err != nil {
			return err
		}
		if seen[disk.Target] {
			return n.Errorf("disk %s twice", disk.Target)
		}
		seen[disk.Target] = true
		d.Disks = append(d.Disks, disk)
	}
	return nil
}
