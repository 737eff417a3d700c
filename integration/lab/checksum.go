package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"libvirt.org/go/libvirt"
	"libvirt.org/go/libvirtxml"
)

// Checksum is the SHA-256 of all that the domain would read from a disk now, by its persistent definition: overlays
// and their backing files are read as one. The domain must be off.
func (d *Domain) Checksum(ctx context.Context, target string) (string, error) {
	if active, err := d.dom.IsActive(); err != nil || active {
		return "", fmt.Errorf("read disk %s: domain active: %t: %w", target, active, err)
	}
	disk, err := d.definedDisk(target)
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp("", "checksum-")
	if err != nil {
		return "", fmt.Errorf("create copy: %w", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := Command(ctx, "qemu-img", "convert", "-f", disk.Driver.Type, "-O", "raw", location(disk), file.Name()); err != nil {
		return "", err
	}
	return sumFile(file.Name())
}

// HereAndThere are places for Scribble, in a disk of 10 MiB or more.
func HereAndThere() []string { return []string{"0 1M", "3M 64k", "5M 4k", "8M 2M"} }

// Scribble overwrites places of a disk, each an offset and a length as qemu-io wants them, with a byte. The domain must
// be off; a file system on the disk does not survive it.
func (d *Domain) Scribble(ctx context.Context, target string, with byte, places ...string) error {
	disk, err := d.definedDisk(target)
	if err != nil {
		return err
	}
	args := []string{"-f", disk.Driver.Type}
	for _, where := range places {
		args = append(args, "-c", fmt.Sprintf("write -q -P %d %s", with, where))
	}
	_, err = Command(ctx, "qemu-io", append(args, location(disk))...)
	return err
}

func (d *Domain) definedDisk(target string) (*libvirtxml.DomainDisk, error) {
	text, err := d.dom.GetXMLDesc(libvirt.DOMAIN_XML_INACTIVE)
	if err != nil {
		return nil, fmt.Errorf("read domain XML: %w", err)
	}
	var doc libvirtxml.Domain
	if err := doc.Unmarshal(text); err != nil {
		return nil, fmt.Errorf("decode domain XML: %w", err)
	}
	for _, disk := range doc.Devices.Disks {
		if disk.Target.Dev == target && disk.Source != nil {
			return &disk, nil
		}
	}
	return nil, fmt.Errorf("find disk %s: none with a source in domain %s", target, d.name)
}

// location names a disk the way qemu-img wants it.
func location(disk *libvirtxml.DomainDisk) string {
	switch {
	case disk.Source.Network != nil && disk.Source.Network.Protocol == "nbd":
		return exportURI(disk.Source.Network.Name)
	case disk.Source.Network != nil:
		return disk.Source.Network.Protocol + ":" + disk.Source.Network.Name
	case disk.Source.Block != nil:
		return disk.Source.Block.Dev
	}
	return disk.Source.File.File
}

// sumFile opens the file anew: qemu-img may have put another in its place.
func sumFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open copy: %w", err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("read copy: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
