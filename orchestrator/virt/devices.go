package virt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/digitalocean/go-qemu/qmp"
	"libvirt.org/go/libvirtxml"

	"github.com/domsnap/domsnap/xmlspec"
)

// device is what is read of one of query-block's.
type device struct {
	// QDev is the id of the device in the guest, or the path of its part that has the disk.
	QDev string `json:"qdev"`
	// source is the file that libvirt believes the disk to be on.
	source   string
	Inserted struct {
		// Node is the topmost block node.
		Node   string `json:"node-name"`
		Driver string `json:"drv"`
		// File is what the node reads and writes, in QEMU's words.
		File         string `json:"file"`
		DetectZeroes string `json:"detect_zeroes"`
		Cache        struct {
			Direct  bool `json:"direct"`
			NoFlush bool `json:"no-flush"`
		} `json:"cache"`
		Image struct {
			Size int64 `json:"virtual-size"`
		} `json:"image"`
		Bitmaps []bitmap `json:"dirty-bitmaps"`
	} `json:"inserted"`
}

// bitmap keeps what was written since a checkpoint.
type bitmap struct {
	Name string `json:"name"`
}

// counts says that somebody counts on it. Those of jobs have no name, and one that libvirt has for a while is left where it
// commits into a raw image.
func (b bitmap) counts() bool { return b.Name != "" && !strings.HasPrefix(b.Name, "libvirt-tmp-") }

// deviceList is all that query-block knows; what is no object there takes no room here.
type deviceList []*device

func blockDevices(m qmp.Monitor) (deviceList, error) {
	var devices deviceList
	return devices, query(m, "query-block", &devices)
}

// of finds the device of a disk by libvirt's alias of it.
func (l deviceList) of(d *xmlspec.Domain, target string) (device, error) {
	alias, err := aliasOf(d, target)
	if err != nil {
		return device{}, err
	}
	at := slices.IndexFunc(l, func(d *device) bool { return d != nil && slices.Contains(strings.Split(d.QDev, "/"), alias) })
	if at < 0 {
		return device{}, fmt.Errorf("find disk %s (%s) in QEMU: it has no such block device", target, alias)
	}
	disk, _ := d.Disk(target)
	found := *l[at]
	found.source = disk.Source.File
	return found, nil
}

func aliasOf(d *xmlspec.Domain, target string) (string, error) {
	disk, ok := d.Disk(target)
	if !ok {
		return "", fmt.Errorf("find disk %s of domain %s: it has none", target, d.Name)
	}
	var parsed libvirtxml.DomainDisk
	if err := parsed.Unmarshal(disk.XML); err != nil {
		return "", fmt.Errorf("read disk %s: %w", target, err)
	}
	if parsed.Alias == nil || parsed.Alias.Name == "" {
		return "", fmt.Errorf("read disk %s: libvirt names no device for it", target)
	}
	return parsed.Alias.Name, nil
}
