package xmlspec

import (
	"fmt"
	"slices"
	"strconv"
)

// Marshal writes the descriptor in the one form that domsnap writes, and ParseDescriptor reads it back. It
// fails where ParseDescriptor would not take the result.
func (d *Descriptor) Marshal() ([]byte, error) {
	root := &Node{Name: rootElement}
	root.addText("name", d.Name)
	root.addText("description", d.Description)
	if !d.CreationTime.IsZero() {
		root.addText("creationTime", strconv.FormatInt(d.CreationTime.Unix(), 10))
	}
	root.addText("state", d.State)
	if d.Parent != "" {
		root.add("parent").addText("name", d.Parent)
	}
	if err := d.writeDisks(root); err != nil {
		return nil, err
	}
	text := root.XML()
	if _, err := ParseDescriptor(text); err != nil {
		return nil, fmt.Errorf("write a descriptor that can be read: %w", err)
	}
	return text, nil
}

func (d *Descriptor) writeDisks(root *Node) error {
	if len(d.Disks) == 0 {
		return nil
	}
	disks := root.add("disks")
	for _, disk := range d.Disks {
		if err := disk.write(disks.add("disk")); err != nil {
			return fmt.Errorf("write disk %s: %w", disk.Target, err)
		}
	}
	return nil
}

func (d DescriptorDisk) write(n *Node) error {
	n.Attrs = []Attr{{"name", d.Target}}
	if d.Snapshot != SnapshotDefault {
		n.Attrs = append(n.Attrs, Attr{"snapshot", string(d.Snapshot)})
	}
	if d.Spec != nil {
		n.Children = append(n.Children, d.Spec.element())
	}
	n.addText("ref", d.Ref)
	if err := n.addDocument("backupSource", d.BackupSource, sourceElement); err != nil {
		return err
	}
	return n.addDocument("modifiedDisk", d.ModifiedDisk, "disk")
}

// addDocument makes a child that holds a document of libvirt's, unless that is empty.
func (n *Node) addDocument(name, document, root string) error {
	if document == "" {
		return nil
	}
	inner, err := parse([]byte(document), MaxNodes)
	if err != nil {
		return fmt.Errorf("read <%s>: %w", name, err)
	}
	if inner.Name != root {
		return fmt.Errorf("read <%s>: %w", name, inner.Errorf("the root element is not <%s>", root))
	}
	inner.Children = slices.DeleteFunc(inner.Children, isBackingStore)
	n.add(name).Children = []*Node{inner}
	return nil
}

// isBackingStore tells the images below, which libvirt finds by itself and nests one level for each.
func isBackingStore(n *Node) bool {
	return n.Name == "backingStore"
}
