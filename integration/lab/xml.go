package lab

import (
	"fmt"
	"strings"

	"libvirt.org/go/libvirtxml"
)

const (
	guestKernel = "/usr/share/domsnap-lab/vmlinuz"
	guestInitrd = "/usr/share/domsnap-lab/initrd.img"
	controlPort = "org.domsnap.lab"
	agentPort   = "org.qemu.guest_agent.0"
)

// describe makes the domain's XML.
func (d *Domain) describe(opts Options) (string, error) {
	doc := &libvirtxml.Domain{
		Type:     "qemu",
		Name:     d.name,
		Memory:   &libvirtxml.DomainMemory{Value: uint(opts.MemoryMiB), Unit: "MiB"},
		VCPU:     &libvirtxml.DomainVCPU{Value: 1},
		CPU:      &libvirtxml.DomainCPU{Mode: "maximum"},
		Features: &libvirtxml.DomainFeatureList{ACPI: &libvirtxml.DomainFeature{}},
		OS: &libvirtxml.DomainOS{
			Type:    &libvirtxml.DomainOSType{Type: "hvm", Machine: "q35"},
			Kernel:  guestKernel,
			Initrd:  guestInitrd,
			Cmdline: "console=ttyS0 quiet panic=-1 mitigations=off",
		},
		Devices: d.devices(opts),
	}
	if opts.UEFI {
		doc.OS.Loader = &libvirtxml.DomainLoader{Path: "/usr/share/OVMF/OVMF_CODE_4M.fd", Readonly: "yes", Type: "pflash"}
		doc.OS.NVRam = &libvirtxml.DomainNVRam{Template: "/usr/share/OVMF/OVMF_VARS_4M.fd", NVRam: d.NVRAM()}
	}
	if opts.TPM {
		backend := &libvirtxml.DomainTPMBackend{Emulator: &libvirtxml.DomainTPMBackendEmulator{Version: "2.0"}}
		doc.Devices.TPMs = []libvirtxml.DomainTPM{{Model: "tpm-crb", Backend: backend}}
	}
	if opts.Change != nil {
		opts.Change(doc)
	}
	text, err := doc.Marshal()
	if err != nil {
		return "", fmt.Errorf("write domain XML: %w", err)
	}
	return text, nil
}

func (d *Domain) devices(opts Options) *libvirtxml.DomainDeviceList {
	list := &libvirtxml.DomainDeviceList{
		MemBalloon: &libvirtxml.DomainMemBalloon{Model: "none"},
		Channels:   []libvirtxml.DomainChannel{channel(controlPort, d.controlPath())},
		Serials: []libvirtxml.DomainSerial{{
			Source: &libvirtxml.DomainChardevSource{File: &libvirtxml.DomainChardevSourceFile{Path: d.ConsoleLog()}},
		}},
	}
	if !opts.NoAgentChannel {
		list.Channels = append(list.Channels, channel(agentPort, ""))
	}
	for _, v := range d.volumes {
		list.Disks = append(list.Disks, v.element())
		if v.bus() == "scsi" && len(list.Controllers) == 0 {
			list.Controllers = []libvirtxml.DomainController{{Type: "scsi", Model: "virtio-scsi"}}
		}
	}
	return list
}

// channel describes a virtio-serial port; libvirt chooses the socket's path where none is given.
func channel(name, path string) libvirtxml.DomainChannel {
	return libvirtxml.DomainChannel{
		Source: &libvirtxml.DomainChardevSource{UNIX: &libvirtxml.DomainChardevSourceUNIX{Mode: "bind", Path: path}},
		Target: &libvirtxml.DomainChannelTarget{VirtIO: &libvirtxml.DomainChannelTargetVirtIO{Name: name}},
	}
}

func (v *volume) bus() string {
	if strings.HasPrefix(v.disk.Target, "vd") {
		return "virtio"
	}
	return "scsi"
}

func (v *volume) element() libvirtxml.DomainDisk {
	disk := libvirtxml.DomainDisk{
		Device: "disk",
		Driver: &libvirtxml.DomainDiskDriver{Name: "qemu", Type: v.format, Cache: v.disk.Cache, Discard: "unmap"},
		Source: v.sourceElement(),
		Target: &libvirtxml.DomainDiskTarget{Dev: v.disk.Target, Bus: v.bus()},
		Serial: v.disk.Serial,
	}
	if v.disk.Kind == EmptyCDROM {
		disk.Device, disk.Driver.Discard = "cdrom", ""
	}
	if v.disk.ReadOnly {
		disk.ReadOnly = &libvirtxml.DomainDiskReadOnly{}
	}
	return disk
}

func (v *volume) sourceElement() *libvirtxml.DomainDiskSource {
	switch v.disk.Kind {
	case EmptyCDROM:
		return nil
	case ThickLV, ThinLV:
		return &libvirtxml.DomainDiskSource{Block: &libvirtxml.DomainDiskSourceBlock{Dev: v.source}}
	case NBD:
		return exportElement(v.source)
	case RBD:
		return &libvirtxml.DomainDiskSource{Network: &libvirtxml.DomainDiskSourceNetwork{
			Protocol: "rbd",
			Name:     v.source,
			Hosts:    []libvirtxml.DomainDiskSourceHost{{Name: "127.0.0.1", Port: "6789"}},
		}}
	}
	return &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: v.source}}
}
