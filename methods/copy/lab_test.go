//go:build lab

package fullcopy_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	fullcopy "github.com/domsnap/domsnap/methods/copy"
	"github.com/domsnap/domsnap/methods/image"
)

// labSize is the size of the disks, labData what is in them.
const (
	labSize = 64 << 20
	labData = 3 << 20
)

// TestLabOff takes a disk of every kind through its life, the domain being off.
func TestLabOff(t *testing.T) {
	template := labTemplate(t)
	kinds := map[string]func(*testing.T, string) methods.Disk{"raw file": labRaw, "qcow2": labQcow2, "rbd": labRBD, "nbd": labNBD}
	if lab.OwnKernel() {
		kinds["logical volume"] = labLV
	}
	for name, make := range kinds {
		t.Run(name, func(t *testing.T) {
			disk := make(t, template)
			disk.Target, disk.Domain = "vda", methods.Domain{Name: "web1", UUID: uuid}
			labLife(t, disk, content(t, template))
		})
	}
}

func labLife(t *testing.T, disk methods.Disk, want []byte) {
	home := filepath.Join(t.TempDir(), "copies")
	m := fullcopy.New(fullcopy.Config{Hypervisor: &hypervisor{}, Run: command.Host{}, Dir: home})
	s := &stage{t: t, hypervisor: &hypervisor{}, method: m, disk: disk}
	first := s.take("first")
	labOverwrite(t, disk, 8<<20)
	second := s.take("second")
	s.wantCopy(first, want)
	for _, ref := range []methods.Ref{first, second} {
		info, err := m.Stat(t.Context(), ref)
		if err != nil || info.BytesUsed < labData || info.BytesUsed > 2*labData {
			t.Errorf("%s takes %d bytes: %v", ref.Name, info.BytesUsed, err)
		}
	}
	req := methods.RevertRequest{To: first, Disk: disk, Disks: image.Access{}}
	how, err := methods.CheckRevert(t.Context(), m, req)
	must(t, err)
	req.How = how
	done, err := methods.Revert(t.Context(), m, req)
	if err != nil || done.How != methods.HowCompare || done.BytesWritten == 0 || done.BytesWritten > 2<<20 {
		t.Errorf("%+v, %v", done, err)
	}
	read, err := methods.Verify(t.Context(), m, req, methods.Whole())
	if err != nil || read != labSize {
		t.Errorf("%d bytes are the same, %v", read, err)
	}
	s.wantCopy(first, want)
	s.drop(second)
	s.drop(first)
	for _, dir := range []string{home, filepath.Join(filepath.Dir(disk.Source.Path()), ".domsnap-copies")} {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
}

// labOverwrite changes a MiB of the disk.
func labOverwrite(t *testing.T, disk methods.Disk, at int64) {
	t.Helper()
	w, err := image.Access{}.OpenDisk(t.Context(), disk)
	must(t, err)
	_, err = w.WriteAt(bytes.Repeat([]byte("changed "), 1<<17), at)
	must(t, err)
	must(t, w.Sync())
	must(t, w.Close())
}

// labTemplate has data at its begin and in its middle, and zeroes that were written in between.
func labTemplate(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "template")
	data := make([]byte, labData/2)
	_, _ = rand.Read(data)
	f, err := os.Create(file)
	must(t, err)
	must(t, f.Truncate(labSize))
	for at, d := range map[int64][]byte{0: data, 20 << 20: make([]byte, 2<<20), 40 << 20: data} {
		_, err := f.WriteAt(d, at)
		must(t, err)
	}
	must(t, f.Close())
	return file
}

func labFile(t *testing.T, template, format string) methods.Disk {
	t.Helper()
	dir, err := os.MkdirTemp("/var/lib/libvirt/images", "copy")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "disk."+format)
	labRun(t, "qemu-img", "convert", "-f", "raw", "-O", format, template, file)
	return methods.Disk{Format: format, Source: methods.Source{File: file}}
}

func labRaw(t *testing.T, template string) methods.Disk { return labFile(t, template, "raw") }

func labQcow2(t *testing.T, template string) methods.Disk { return labFile(t, template, "qcow2") }

func labLV(t *testing.T, template string) methods.Disk {
	labRun(t, "lvcreate", "-q", "-y", "-L", strconv.Itoa(labSize)+"b", "-n", "copied", "vg0")
	t.Cleanup(func() { labRun(t, "lvremove", "-q", "-y", "vg0/copied") })
	labRun(t, "dd", "if="+template, "of=/dev/vg0/copied", "bs=1M", "conv=fsync")
	return methods.Disk{Format: "raw", Source: methods.Source{Dev: "/dev/vg0/copied"}}
}

func labRBD(t *testing.T, template string) methods.Disk {
	labRun(t, "rbd", "--no-progress", "import", template, "rbd/copied")
	t.Cleanup(func() { labRun(t, "rbd", "--no-progress", "rm", "rbd/copied") })
	return methods.Disk{Format: "raw", Source: methods.Source{
		RBD: &methods.RBDImage{Pool: "rbd", Image: "copied", Monitors: []string{"127.0.0.1:6789"}},
	}}
}

// labNBD is a disk on a server, as a domain may have one.
func labNBD(t *testing.T, template string) methods.Disk {
	far := labFile(t, template, "raw")
	socket := filepath.Join(t.TempDir(), "socket")
	pid := socket + ".pid"
	labRun(t, "qemu-nbd", "--fork", "-t", "-e", "0", "-f", "raw", "-x", "far", "--socket="+socket, "--pid-file="+pid, far.Source.File)
	t.Cleanup(func() { labRun(t, "kill", strings.TrimSpace(string(content(t, pid)))) })
	return methods.Disk{Format: "raw", Source: methods.Source{
		Network: &methods.NetworkSource{Protocol: "nbd", Name: "far", Socket: socket},
	}}
}

func labRun(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("run %s %q: %v\n%s", name, args, err, out)
	}
}
