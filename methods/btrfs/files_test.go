package btrfs

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

func TestKernelStructs(t *testing.T) {
	sizes := map[string][2]uintptr{
		"btrfs_ioctl_vol_args_v2": {unsafe.Sizeof(snapCreateArgs{}), volArgsSize},
		"btrfs_ioctl_vol_args":    {unsafe.Sizeof(snapDestroyArgs{}), volArgsSize},
		"xfs_fsop_geom_v4":        {unsafe.Sizeof(xfsGeometryArgs{}), xfsGeometrySize},
		"fsxattr":                 {unsafe.Sizeof(fsxattr{}), fsxattrSize},
		"fiemap":                  {unsafe.Offsetof(fiemapArgs{}.extents), fiemapSize},
		"fiemap_extent":           {unsafe.Sizeof(fiemapExtent{}), fiemapExtentSize},

		"btrfs_ioctl_search_args_v2": {unsafe.Offsetof(treeSearchArgs{}.answer), treeSearchSize},
		"btrfs_ioctl_search_header":  {uintptr(binary.Size(searchHeader{})), searchHeaderSize},
		"btrfs_file_extent_item":     {uintptr(binary.Size(fileExtentItem{})), itemSize},
	}
	for name, size := range sizes {
		if size[0] != size[1] {
			t.Errorf("%s has %d bytes, want %d", name, size[0], size[1])
		}
	}
}

func TestQcow2Capacity(t *testing.T) {
	plain := qcow2Header{Magic: [4]byte{'Q', 'F', 'I', 0xfb}, Version: 3, Capacity: 1 << 30}
	backed, outside, other := plain, plain, plain
	backed.Backing = 512
	outside.Incompatible = qcow2DataFile
	other.Magic[0] = 'X'
	for _, tt := range []struct {
		name   string
		header qcow2Header
		want   error
	}{
		{"plain", plain, nil},
		{"backing file", backed, methods.ErrUnsupported},
		{"data file", outside, methods.ErrUnsupported},
		{"not qcow2", other, methods.ErrBlocked},
	} {
		got, err := capacity(qcow2File(t, tt.header), "qcow2")
		if tt.want != nil {
			wantError(t, err, tt.want)
		} else if err != nil || got != 1<<30 {
			t.Errorf("%s: %d, %v", tt.name, got, err)
		}
	}
}

func qcow2File(t *testing.T, h qcow2Header) *os.File {
	f := tempFile(t)
	must(t, binary.Write(f, binary.BigEndian, h))
	return f
}

func tempFile(t *testing.T) *os.File {
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// A lock of QEMU, as it writes to an image: byte 101, shared.
func TestImageLocks(t *testing.T) {
	image := tempFile(t)
	must(t, checkUnused(image))
	qemu, err := os.OpenFile(image.Name(), os.O_RDWR, 0)
	must(t, err)
	lock := unix.Flock_t{Type: unix.F_RDLCK, Whence: unix.SEEK_SET, Start: 101, Len: 1}
	must(t, unix.FcntlFlock(qemu.Fd(), unix.F_OFD_SETLK, &lock))
	wantError(t, checkUnused(image), methods.ErrBlocked)
	wantError(t, lockImage(image), methods.ErrBlocked)
	must(t, qemu.Close())
	must(t, lockImage(image))
}

func TestStoreIsKeptWhileInUse(t *testing.T) {
	p := &place{dir: openDir(t, t.TempDir())}
	first, err := p.makeStore(context.Background())
	must(t, err)
	second, err := p.openStore()
	must(t, err)
	defer second.Close()
	must(t, p.dropStore(second))
	if there, err := lookup(p.dir, storeName); !there {
		t.Fatalf("the store was removed under its user (%v)", err)
	}
	must(t, first.Close())
	must(t, p.dropStore(second))
	if there, err := lookup(p.dir, storeName); there {
		t.Errorf("the store is still there (%v)", err)
	}
}

func TestStoreOfOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	p := &place{dir: openDir(t, dir)}
	must(t, os.Mkdir(filepath.Join(dir, "elsewhere"), 0o700))
	must(t, os.Symlink("elsewhere", filepath.Join(dir, storeName)))
	_, err := p.makeStore(context.Background())
	wantError(t, err, methods.ErrBlocked)
	must(t, os.Remove(filepath.Join(dir, storeName)))
	must(t, os.Mkdir(filepath.Join(dir, storeName), 0o700))
	must(t, os.Chmod(filepath.Join(dir, storeName), 0o770))
	_, err = p.makeStore(context.Background())
	wantError(t, err, methods.ErrBlocked)
}

func openDir(t *testing.T, path string) *os.File {
	dir, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { dir.Close() })
	return dir
}
