package xmlspec

const (
	qemuMethod    = "qemu"
	modeAttr      = "mode"
	modeInternal  = "internal"
	sourceElement = "source"
)

// diskElement is what a <disk> may hold. The last three describe a snapshot that exists.
type diskElement struct {
	Name     diskTarget   `xml:"name,attr" domsnap:"required"`
	Snapshot DiskSnapshot `xml:"snapshot,attr"`
	Type     fileType     `xml:"type,attr"`
	Driver   *driver      `xml:"driver"`
	Overlay  *overlay     `xml:"source"`
	Spec     *Node        `xml:"diskSnapshot"`

	Ref          string `xml:"ref"`
	BackupSource *Node  `xml:"backupSource"`
	ModifiedDisk *Node  `xml:"modifiedDisk"`
}

type driver struct {
	Type overlayFormat `xml:"type,attr"`
}

// overlay is where libvirt's own external snapshots put the new file.
type overlay struct {
	File filePath `xml:"file,attr" domsnap:"required"`
}

func readDescriptorDisk(n *Node) (DescriptorDisk, error) {
	disk := DescriptorDisk{node: n}
	var e diskElement
	if err := n.Decode(&e); err != nil {
		return disk, err
	}
	disk.Target, disk.Snapshot = string(e.Name), e.Snapshot
	if e.Spec != nil {
		spec, err := readSpec(e.Spec)
		if err != nil {
			return disk, err
		}
		disk.Spec = spec
	}
	return disk, disk.settle(e.Overlay)
}

// settle makes libvirt's words and <diskSnapshot> one, or says where they contradict each other.
func (d *DescriptorDisk) settle(o *overlay) error {
	if o != nil && d.Snapshot == SnapshotDefault {
		d.Snapshot = SnapshotExternal
	}
	if o != nil && d.Snapshot != SnapshotExternal {
		return d.Errorf("<source> is for snapshot='external'")
	}
	switch d.Snapshot {
	case SnapshotNo:
		return d.leaveOut()
	case SnapshotInternal:
		return d.settleInternal()
	case SnapshotExternal:
		return d.settleExternal(o)
	}
	return nil
}

func (d *DescriptorDisk) leaveOut() error {
	if d.Spec != nil {
		return d.Errorf("snapshot='no' and <%s> contradict each other", specElement)
	}
	return nil
}

func (d *DescriptorDisk) settleInternal() error {
	spec := d.qemuSpec()
	mode, given := spec.Attr(modeAttr)
	if d.Spec.Name != qemuMethod || given && mode != modeInternal {
		return d.Errorf("snapshot='internal' is for method qemu with mode='internal'")
	}
	if !given {
		spec.Attrs = append(spec.Attrs, Attr{modeAttr, modeInternal})
	}
	return nil
}

func (d *DescriptorDisk) settleExternal(o *overlay) error {
	spec := d.qemuSpec()
	if mode, _ := spec.Attr(modeAttr); d.Spec.Name == qemuMethod && mode == modeInternal {
		return d.Errorf("snapshot='external' and mode='internal' contradict each other")
	}
	if o == nil {
		return nil
	}
	if d.Spec.Name != qemuMethod {
		return d.Errorf("<source> is for method qemu; what method %s needs stands in <%s>", d.Spec.Name, specElement)
	}
	if spec.child(sourceElement) != nil {
		return d.Errorf("<%s> is here and in <%s>", sourceElement, specElement)
	}
	spec.add(sourceElement, Attr{"file", string(o.File)})
	return nil
}

// qemuSpec is the disk's <diskSnapshot>, of method qemu if it named none.
func (d *DescriptorDisk) qemuSpec() *Node {
	if d.Spec == nil {
		d.Spec = &MethodSpec{Node: &Node{Name: specElement, Line: d.node.Line, Column: d.node.Column, parent: d.node}}
	}
	if d.Spec.Name == "" {
		d.Spec.Name = qemuMethod
	}
	return d.Spec.Node
}
