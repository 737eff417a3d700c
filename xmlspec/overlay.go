package xmlspec

import (
	"errors"
	"fmt"

	"libvirt.org/go/libvirtxml"
)

// Label is how a security driver of libvirt labels the files of a domain that runs: "dac" as "+UID:+GID", "selinux" as a
// context.
type Label struct{ Model, Image string }

func readLabels(all []libvirtxml.DomainSecLabel) []Label {
	var labels []Label
	for _, l := range all {
		if l.Relabel != "no" && l.ImageLabel != "" {
			labels = append(labels, Label{Model: l.Model, Image: l.ImageLabel})
		}
	}
	return labels
}

// On is the disk's element with a qcow2 file as its source, whose header says what is below it.
func (d Disk) On(file string) (string, error) {
	var raw libvirtxml.DomainDisk
	if err := raw.Unmarshal(d.XML); err != nil {
		return "", fmt.Errorf("read disk %s: %w", d.Target, err)
	}
	if raw.Driver == nil {
		raw.Driver = &libvirtxml.DomainDiskDriver{}
	}
	raw.Source, raw.BackingStore = &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: file}}, nil
	raw.Driver.Type = "qcow2"
	return raw.Marshal()
}

// OnOverlay is the disk's element with a qcow2 file as its source, over the source that it has now. Who starts with it
// needs nothing from the header of the file: what is below it is said whole, with what opens it.
func (d Disk) OnOverlay(file string) (string, error) {
	var raw libvirtxml.DomainDisk
	if err := raw.Unmarshal(d.XML); err != nil {
		return "", fmt.Errorf("read disk %s: %w", d.Target, err)
	}
	if raw.Source == nil || raw.Driver == nil || raw.Driver.Type == "" {
		return "", fmt.Errorf("put disk %s onto an overlay: %w", d.Target, errors.New("its source or its format is not said"))
	}
	if raw.Auth != nil && raw.Source.Network != nil && raw.Source.Network.Auth == nil {
		raw.Source.Network.Auth, raw.Auth = raw.Auth, nil
	}
	below := raw.BackingStore
	raw.BackingStore = &libvirtxml.DomainDiskBackingStore{
		Format: &libvirtxml.DomainDiskFormat{Type: raw.Driver.Type}, Source: raw.Source, BackingStore: below,
	}
	raw.Source = &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: file}}
	raw.Driver.Type = "qcow2"
	return raw.Marshal()
}
