package methodtest

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

// HostileImage is a file that was made to have a tool read another one, or to keep it busy.
type HostileImage struct {
	Name string
	Disk methods.Disk
}

// HostileImages are images as a guest, or whoever uploads one, can write them. Those that name another file name the
// canary, in one way or the other.
func HostileImages(t testing.TB, canary *Canary) []HostileImage {
	t.Helper()
	dir := t.TempDir()
	var all []HostileImage
	add := func(name, format string, content []byte) {
		path := filepath.Join(dir, fmt.Sprintf("%02d.img", len(all)))
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		all = append(all, HostileImage{name, methods.Disk{Target: "vda", Format: format, Source: methods.Source{File: path}}})
	}
	plain := makeImage(t, dir)
	named := func(backing, format string) []byte { return withBacking(plain, backing, format) }
	add("a raw disk with a qcow2 header", "raw", named(canary.Path, "raw"))
	add("a raw disk with a data file", "raw", withDataFile(plain, canary.Path, true))
	add("a data file", "qcow2", withDataFile(plain, canary.Path, true))
	add("a data file in json", "qcow2", withDataFile(plain, `json:{"driver":"file","filename":"`+canary.Path+`"}`, true))
	add("a data file that is only named", "qcow2", withDataFile(plain, canary.Path, false))
	add("a backing file in json", "qcow2", named(`json:{"driver":"raw","file":{"driver":"file","filename":"`+canary.Path+`"}}`, "raw"))
	add("a backing file with a protocol", "qcow2", named("file:"+canary.Path, "raw"))
	add("a backing file on the network", "qcow2", named("nbd://127.0.0.1:1/x", "raw"))
	add("a backing file without a format", "qcow2", named(canary.Path, ""))
	add("a backing file of another format", "qcow2", named(canary.Path, "vmdk"))
	add("a backing file of itself", "qcow2", named(filepath.Join(dir, fmt.Sprintf("%02d.img", len(all))), "qcow2"))
	add("a name too long", "qcow2", patched(16, 0xffffffff, named(canary.Path, "raw")))
	add("a name beyond the end", "qcow2", patched(8, 0x7fffffff, named(canary.Path, "raw")))
	add("extensions without an end", "qcow2", patched(100, 1<<19, named(canary.Path, "raw")))
	add("another version", "qcow2", patched(4, 9, named(canary.Path, "raw")))
	add("half a header", "qcow2", plain[:60])
	add("nothing", "qcow2", nil)
	add("a vmdk descriptor", "vmdk", []byte("# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n"+
		"RW 512 FLAT \""+canary.Path+"\" 0\n"))
	add("a table of a petabyte", "qcow2", huge(plain))
	add("very many snapshots", "qcow2", snapshots(plain))
	add("no format", "", named(canary.Path, "raw"))
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	return append(all, HostileImage{"a pipe", methods.Disk{Target: "vda", Format: "qcow2", Source: methods.Source{File: pipe}}})
}

// makeImage is an empty qcow2 file of 1 MiB.
func makeImage(t testing.TB, dir string) []byte {
	t.Helper()
	path := filepath.Join(dir, "plain")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", path, "1M").CombinedOutput(); err != nil {
		t.Fatalf("make an image: %v\n%s", err, out)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// The places of a qcow2 header, version 3.
const (
	atNameOffset   = 8
	atNameLength   = 16
	atSize         = 24
	atL1Size       = 36
	atSnapshots    = 60
	atIncompatible = 72
	// atName is behind all that qemu-img writes there.
	atName = 2048
)

func withBacking(plain []byte, name, format string) []byte {
	image := append([]byte{}, plain...)
	binary.BigEndian.PutUint64(image[atNameOffset:], atName)
	binary.BigEndian.PutUint32(image[atNameLength:], uint32(len(name)))
	copy(image[atName:], name)
	setExtension(image, 0xe2792aca, format)
	return image
}

func withDataFile(plain []byte, name string, inUse bool) []byte {
	image := append([]byte{}, plain...)
	if inUse {
		binary.BigEndian.PutUint64(image[atIncompatible:], 4)
	}
	setExtension(image, 0x44415441, name)
	return image
}

// setExtension makes it the only one, if it says anything.
func setExtension(image []byte, kind uint32, text string) {
	header := int(binary.BigEndian.Uint32(image[100:]))
	clear(image[header : header+512])
	if text == "" {
		return
	}
	binary.BigEndian.PutUint32(image[header:], kind)
	binary.BigEndian.PutUint32(image[header+4:], uint32(len(text)))
	copy(image[header+8:], text)
}

// patched puts a number into a copy of the header.
func patched(at int, value uint32, image []byte) []byte {
	image = append([]byte{}, image...)
	binary.BigEndian.PutUint32(image[at:], value)
	return image
}

// huge says that it has a petabyte, and a table for it that is not there.
func huge(plain []byte) []byte {
	image := append([]byte{}, plain...)
	binary.BigEndian.PutUint64(image[atSize:], 1<<50)
	binary.BigEndian.PutUint32(image[atL1Size:], 1<<21)
	return image
}

// snapshots says that it has as many as there can be, all of them empty.
func snapshots(plain []byte) []byte {
	image := append(append([]byte{}, plain...), make([]byte, 4<<20)...)
	binary.BigEndian.PutUint32(image[atSnapshots:], 65535)
	binary.BigEndian.PutUint64(image[atSnapshots+4:], uint64(len(plain)))
	return image
}
