package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

const (
	volumeGroup = "vg0"
	rbdPool     = "rbd"
	ext4Dir     = "/var/lib/libvirt/images"
	btrfsDir    = "/var/lib/lab/btrfs"
	xfsDir      = "/var/lib/lab/xfs"
)

// volume is one disk's storage. Its source is a path, or pool/image for rbd.
type volume struct {
	disk   Disk
	source string
	format string
	create func(ctx context.Context, template string) error
	remove func(ctx context.Context) error
}

// newVolume says where a disk of a domain will be, and how it is made and removed. It changes nothing.
func newVolume(domain string, disk Disk) (*volume, error) {
	v := &volume{disk: disk, format: "raw"}
	name := domain + "-" + disk.Target
	switch disk.Kind {
	case QcowFile:
		v.format = "qcow2"
		v.inFile(filepath.Join(ext4Dir, name+".qcow2"))
	case RawFile:
		v.inFile(filepath.Join(ext4Dir, name+".img"))
	case BtrfsFile:
		v.inFile(filepath.Join(btrfsDir, name+".img"))
	case XFSFile:
		v.inFile(filepath.Join(xfsDir, name+".img"))
	case BtrfsSubvol:
		v.inSubvolume(filepath.Join(btrfsDir, name))
	case ThickLV:
		v.inLV(name, "-L", strconv.FormatInt(disk.Size, 10)+"b", volumeGroup)
	case ThinLV:
		v.inLV(name, "-V", strconv.FormatInt(disk.Size, 10)+"b", "--thinpool", "pool0", volumeGroup)
	case RBD:
		v.inImage(rbdPool + "/" + name)
	case NBD:
		v.inExport(name)
	case EmptyCDROM, Adopted:
		v.source = disk.Path
		v.remove = func(context.Context) error { return nil }
	default:
		return nil, fmt.Errorf("place disk %s: no kind %d", disk.Target, disk.Kind)
	}
	return v, nil
}

func (v *volume) inFile(path string) {
	v.source = path
	v.create = func(ctx context.Context, template string) error {
		_, err := Command(ctx, "qemu-img", "convert", "-f", "raw", "-O", v.format, template, path)
		return err
	}
	v.remove = func(context.Context) error { return ignoreMissing(os.Remove(path)) }
}

func (v *volume) inSubvolume(dir string) {
	v.inFile(filepath.Join(dir, "disk.img"))
	createFile := v.create
	v.create = func(ctx context.Context, template string) error {
		if _, err := Command(ctx, "btrfs", "subvolume", "create", dir); err != nil {
			return err
		}
		return createFile(ctx, template)
	}
	v.remove = func(ctx context.Context) error { return removeIfThere(ctx, dir, "btrfs", "subvolume", "delete", dir) }
}

// inLV discards before it copies: a new volume shows what was in its extents, and the copy leaves out zeros.
func (v *volume) inLV(name string, where ...string) {
	v.source = "/dev/" + volumeGroup + "/" + name
	v.create = func(ctx context.Context, template string) error {
		return runAll(ctx, [][]string{
			append([]string{"lvcreate", "-q", "-y", "-n", name}, where...),
			{"blkdiscard", "-f", v.source},
			{"qemu-img", "convert", "-n", "--target-is-zero", "-f", "raw", "-O", "raw", template, v.source},
		})
	}
	v.remove = func(ctx context.Context) error {
		return removeIfThere(ctx, v.source, "lvremove", "-q", "-y", volumeGroup+"/"+name)
	}
}

func ignoreMissing(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// removeIfThere runs a command that removes what is at path, if anything is.
func removeIfThere(ctx context.Context, path, name string, args ...string) error {
	if _, err := os.Lstat(path); err != nil {
		return ignoreMissing(err)
	}
	_, err := Command(ctx, name, args...)
	return err
}

func runAll(ctx context.Context, commands [][]string) error {
	for _, c := range commands {
		if _, err := Command(ctx, c[0], c[1:]...); err != nil {
			return err
		}
	}
	return nil
}
