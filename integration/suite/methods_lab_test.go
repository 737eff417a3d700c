//go:build lab

package suite

import (
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/btrfs"
	"github.com/domsnap/domsnap/methods/command"
	fullcopy "github.com/domsnap/domsnap/methods/copy"
	"github.com/domsnap/domsnap/methods/lvm"
	"github.com/domsnap/domsnap/methods/methodtest"
	"github.com/domsnap/domsnap/methods/qemu"
	"github.com/domsnap/domsnap/methods/rbd"
	"github.com/domsnap/domsnap/orchestrator/virt"
)

// four are the disks of a check, where one domain is to have them all.
var four = []string{"vda", "vdb", "vdc", "vdd"}

func TestQemu(t *testing.T) {
	m := qemu.New(connect(t), command.Host{})
	for name, kind := range map[string]lab.Kind{"qemu external, qcow2": lab.QcowFile, "qemu external, raw": lab.RawFile} {
		run(t, name, stage{kind: kind, together: four, objects: layersOf, tools: true}, m)
	}
}

func TestQemuInternal(t *testing.T) {
	m := qemu.NewInternal(connect(t), command.Host{})
	run(t, "qemu internal", stage{kind: lab.QcowFile, together: four, objects: insideOf, tools: true}, m)
}

// roomy lets a thick snapshot keep all of its disk.
const roomy = "<diskSnapshot><size percent='100'/></diskSnapshot>"

func TestLVMThick(t *testing.T) {
	run(t, "lvm thick", stage{kind: lab.ThickLV, objects: volumesOf, tools: true, spec: roomy}, lvm.New(command.Host{}))
}

func TestLVMThin(t *testing.T) {
	run(t, "lvm thin", stage{kind: lab.ThinLV, objects: volumesOf, tools: true, source: activated}, lvm.New(command.Host{}))
}

func TestBtrfs(t *testing.T) {
	for name, kind := range map[string]lab.Kind{"btrfs, own subvolume": lab.BtrfsSubvol, "btrfs, shared": lab.BtrfsFile} {
		run(t, name, stage{kind: kind, objects: storedOf}, btrfs.New())
	}
	run(t, "reflink, XFS", stage{kind: lab.XFSFile, objects: storedOf}, btrfs.NewReflink())
}

func TestRBD(t *testing.T) {
	run(t, "rbd", stage{kind: lab.RBD, objects: snapsOf}, rbd.New())
}

func TestCopy(t *testing.T) {
	host := connect(t)
	for name, kind := range map[string]lab.Kind{"copy, raw": lab.RawFile, "copy, qcow2": lab.QcowFile} {
		m := fullcopy.New(fullcopy.Config{Hypervisor: host, Run: command.Host{}, Dir: t.TempDir()})
		run(t, name, stage{kind: kind, objects: copiesOf, tools: true}, m)
	}
}

// run checks one way of a method.
func run(t *testing.T, name string, s stage, m methods.Method) {
	suite := methodtest.Suite{Name: name, New: s.fixtures(m)}
	if s.tools {
		suite.WithoutTool = s.toolless(m)
	}
	t.Run(name, func(t *testing.T) { methodtest.Run(t, suite) })
}

func connect(t *testing.T) *virt.Host {
	t.Helper()
	host, err := virt.Connect(t.Context(), "qemu:///system")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return host
}
